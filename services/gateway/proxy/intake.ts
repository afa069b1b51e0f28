// What a request asks for, settled before a backend is picked: where it goes and how much it brings.
import type { IncomingMessage } from "node:http";
import type { Route } from "@evenkeel/core/config/resolve.ts";
import { readTarget, type Target } from "../routing/target.ts";
import { type Failure, malformed, NO_BACKEND, NO_ROUTE } from "./failure.ts";
import type { PoolRules } from "./pool-rules.ts";
import { bodySize, REPLAYABLE_BYTES } from "./request-body.ts";
import type { Rules } from "./rules.ts";

export interface Intake {
  target: Target;
  route: Route;
  /** Of the route's pool. */
  pool: PoolRules;
  /** `small` is read whole first and can be sent again, `stream` only once. */
  body: "none" | "small" | "stream";
}

/** The intake, or why the request cannot be served. */
export function takeIn(request: IncomingMessage, rules: Rules): Intake | Failure {
  const target = readTarget(request);
  if (typeof target === "string") return malformed(target);
  const size = bodySize(request);
  if (size === null) return malformed("the transfer coding of the body is not understood");
  const route = rules.router.match(target.host, target.path);
  if (route === null) return NO_ROUTE;
  const pool = rules.pools.get(route.pool);
  if (pool === undefined) return NO_BACKEND;
  return { target, route, pool, body: size === 0 ? "none" : size <= REPLAYABLE_BYTES ? "small" : "stream" };
}
