// What a configuration means to the data path, compiled once per version. A request keeps the rules it began with.
import type { Config, ProxiedRoute, Route } from "@evenkeel/core/config/resolve.ts";
import { compilePreferences } from "../asking/hybrid.ts";
import type { Zones } from "../asking/zones.ts";
import { compileRoutes, type RoutedRequest } from "../routing/router.ts";
import { type Trust, trustPeers } from "./forwarding.ts";
import { compilePoolRules, type PoolRules } from "./pool-rules.ts";
import type { Report } from "./report.ts";
import { compileRouteRules, type RouteRules, type RouteRulesOptions } from "./route-rules.ts";

export interface Rules {
  routeOf(request: RoutedRequest): RouteRules | null;
  rulesOf(route: Route): RouteRules | null;
  trust: Trust;
  debugHeaders: boolean;
  pools: ReadonlyMap<string, PoolRules>;
}

/** Before the first configuration: no request finds a route. */
export const NO_RULES: Rules = {
  routeOf: () => null,
  rulesOf: () => null,
  trust: trustPeers([]),
  debugHeaders: false,
  pools: new Map(),
};

export interface RulesOptions {
  report: Report;
  zones: Zones;
  /** Signs the cookies of session affinity; null while it is not known. */
  cookieSecret: () => Buffer | null;
  /** ms, monotonic */
  clock: () => number;
  /** 0 to below 1 */
  random: () => number;
  compileAccess: RouteRulesOptions["compileAccess"];
  scheduling: RouteRulesOptions["scheduling"];
}

/** Pools that stay keep what was learnt of them: retry budgets, breakers, usual times. */
export function compileRules(config: Config, previous: Rules, options: RulesOptions): Rules {
  const trust = trustPeers(config.trustedProxies);
  const zoneOf = options.zones.configure(config.geography);
  const pools = new Map<string, PoolRules>();
  for (const pool of config.pools) {
    const known = previous.pools.get(pool.name) ?? null;
    pools.set(pool.name, compilePoolRules(pool, known, { ...options, zoneOf }));
  }
  const router = compileRoutes(config.routes);
  const preferOf = compilePreferences(config.routes.filter(isProxied), config.pools);
  const routes = new Map(
    config.routes.map((route) => [route, compileRouteRules(route, { ...options, pools, preferOf })]),
  );
  return {
    routeOf(request) {
      const route = router.match(request);
      return route === null ? null : (routes.get(route) as RouteRules);
    },
    rulesOf: (route) => routes.get(route) ?? null,
    trust,
    debugHeaders: config.debugHeaders,
    pools,
  };
}

const isProxied = (route: Route): route is ProxiedRoute => route.reply === null;
