// Routes as a configuration gives them, from the few fields that a test is about.
import { type ProxiedRoute, type Route, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";

type Written = Partial<RouteDocument>;

/** Dynamic over pool "p" unless it says else. */
export function routeOf(written: Written): Route {
  const proxied = written.redirect === undefined && written.respond === undefined;
  const pool = written.split === undefined ? { pool: "p" } : {};
  const basis = proxied ? { proxy: "dynamic" as const, ...pool } : {};
  const route: RouteDocument = { name: "r", match: {}, ...basis, ...written };
  const document = { listeners: [], routes: [route], pools: [] };
  return resolveConfig(document).routes[0] as Route;
}

export const proxiedRouteOf = (written: Written): ProxiedRoute => routeOf(written) as ProxiedRoute;
