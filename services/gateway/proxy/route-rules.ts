// What a route means to the data path, compiled once per configuration. Most routes need little of it, and what a route
// does not need costs its requests one comparison with null.
import type { AnsweredRoute, ProxiedRoute, Route } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Access } from "../access/access.ts";
import { type ChangeFields, compileHeaderRules } from "../routing/header-rules.ts";
import { compileMirror, type Mirror } from "../routing/mirror.ts";
import { compileReply, type MakeReply } from "../routing/reply.ts";
import { compileRewrite, type RewriteTarget } from "../routing/rewrite.ts";
import { compileSplit } from "../routing/split.ts";
import type { Arrival } from "./arrival.ts";
import type { PoolRules } from "./pool-rules.ts";

/** The pool that serves a request. */
export interface Destination {
  pool: PoolRules;
  /** Set-Cookie that keeps the client with this pool; null: nothing to say. */
  cookie: string | null;
}

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
  /** Hybrid: the static backend and its bound. */
  prefer: Want | null;
  rewrite: RewriteTarget | null;
  /** Host for the backend; null: the client's. */
  authority: string | null;
  requestHeaders: ChangeFields | null;
  responseHeaders: ChangeFields | null;
  mirror: Mirror | null;
}

export type RouteRules = AnsweredRules | ProxiedRules;

export interface RouteRulesOptions {
  pools: ReadonlyMap<string, PoolRules>;
  /** What a hybrid route asks of the ledger. */
  preferOf: (route: ProxiedRoute) => Want | null;
  compileAccess: (route: Route) => Access | null;
  /** 0 to below 1 */
  random: () => number;
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
    prefer: options.preferOf(route),
    rewrite: compileRewrite(route),
    authority: route.rewrite?.host ?? null,
    requestHeaders: compileHeaderRules(route.requestHeaders),
    responseHeaders: compileHeaderRules(route.responseHeaders),
    mirror: compileMirror(route, options.random),
  };
}

function compileDestination(
  route: ProxiedRoute,
  { pools, random }: RouteRulesOptions,
): ProxiedRules["destination"] {
  const only = pools.get(route.pool);
  const destination = only === undefined ? null : { pool: only, cookie: null };
  if (route.split === null) return () => destination;
  const choose = compileSplit(route.split, random);
  return ({ head }) => {
    const { pool: name, cookie } = choose(head.fields);
    const pool = pools.get(name);
    return pool === undefined ? null : { pool, cookie };
  };
}
