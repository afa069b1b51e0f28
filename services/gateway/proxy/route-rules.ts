// What a route means to the data path, compiled once per configuration. Most routes need little of it, and what a route
// does not need costs its requests one comparison with null.
import type { AnsweredRoute, ProxiedRoute, Route } from "@evenkeel/core/config/resolve.ts";
import type { Access } from "../access/access.ts";
import { type ChangeFields, compileHeaderRules } from "../routing/header-rules.ts";
import { compileMirror } from "../routing/mirror.ts";
import { compileReply, type MakeReply } from "../routing/reply.ts";
import { compileRewrite, type RewriteTarget } from "../routing/rewrite.ts";
import type { Arrival } from "./arrival.ts";
import { compileDestination, type Destination, type DestinationOptions } from "./destinations.ts";
import { type Statuses, statusTable } from "./failure.ts";
import type { JudgedMirror } from "./mirror.ts";

/** Of a route that answers by itself. */
export interface AnsweredRules {
  route: AnsweredRoute;
  access: Access | null;
  reply: MakeReply;
  maxBodyBytes: number;
}

export interface ProxiedRules {
  route: ProxiedRoute;
  access: Access | null;
  reply: null;
  maxBodyBytes: number;
  /** Of each request once. Null: the pool is not known. */
  destination: (arrival: Arrival) => Destination | null;
  /** Answers that are asked for again elsewhere; null: none is. */
  retryStatuses: Statuses | null;
  rewrite: RewriteTarget | null;
  /** Host for the backend; null: the client's. */
  authority: string | null;
  requestHeaders: ChangeFields | null;
  responseHeaders: ChangeFields | null;
  mirror: JudgedMirror | null;
}

export type RouteRules = AnsweredRules | ProxiedRules;

export interface RouteRulesOptions extends DestinationOptions {
  compileAccess: (route: Route) => Access | null;
}

export function compileRouteRules(route: Route, options: RouteRulesOptions): RouteRules {
  const access = options.compileAccess(route);
  const { maxBodyBytes } = route;
  if (route.reply !== null) return { route, access, reply: compileReply(route), maxBodyBytes };
  return {
    route,
    access,
    reply: null,
    maxBodyBytes,
    destination: compileDestination(route, options),
    retryStatuses: route.retryStatuses.length > 0 ? statusTable(route.retryStatuses) : null,
    rewrite: compileRewrite(route),
    authority: route.rewrite?.host ?? null,
    requestHeaders: compileHeaderRules(route.requestHeaders),
    responseHeaders: compileHeaderRules(route.responseHeaders),
    mirror: mirrorOf(route, options),
  };
}

function mirrorOf(route: ProxiedRoute, { pools, random }: RouteRulesOptions): JudgedMirror | null {
  const mirror = compileMirror(route, random);
  const outcomeOf = mirror && pools.get(mirror.pool)?.outcomeOf;
  return outcomeOf ? { ...mirror, outcomeOf } : null;
}
