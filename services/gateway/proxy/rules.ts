// What a configuration means to the data path, compiled once per version. A request keeps the rules it began with.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Zones } from "../asking/zones.ts";
import { compileRoutes, type Router } from "../routing/router.ts";
import { type Trust, trustPeers } from "./forwarding.ts";
import { compilePoolRules, type PoolRules } from "./pool-rules.ts";
import type { Report } from "./report.ts";
import { createRetryBudget } from "./retry-budget.ts";

export interface Rules {
  router: Router;
  trust: Trust;
  debugHeaders: boolean;
  pools: ReadonlyMap<string, PoolRules>;
}

/** Before the first configuration: no request finds a route. */
export const NO_RULES: Rules = {
  router: compileRoutes([]),
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
}

/** Pools that stay keep what their retry budget holds. */
export function compileRules(config: Config, previous: Rules, options: RulesOptions): Rules {
  const trust = trustPeers(config.trustedProxies);
  const zoneOf = options.zones.configure(config.geography);
  const pools = new Map<string, PoolRules>();
  for (const pool of config.pools) {
    const budget = previous.pools.get(pool.name)?.budget ?? createRetryBudget(options.clock);
    pools.set(pool.name, compilePoolRules(pool, { ...options, trust, zoneOf, budget }));
  }
  return { router: compileRoutes(config.routes), trust, debugHeaders: config.debugHeaders, pools };
}
