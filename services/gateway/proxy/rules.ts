// What a configuration means to the data path, compiled once per version. A request keeps the rules it began with.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import { compileRoutes, type Router } from "../routing/router.ts";
import { type Trust, trustPeers } from "./forwarding.ts";
import { createRetryBudget, type RetryBudget } from "./retry-budget.ts";

export interface Rules {
  router: Router;
  trust: Trust;
  debugHeaders: boolean;
  /** By pool. */
  budgets: ReadonlyMap<string, RetryBudget>;
}

/** Before the first configuration: no request finds a route. */
export const NO_RULES: Rules = {
  router: compileRoutes([]),
  trust: trustPeers([]),
  debugHeaders: false,
  budgets: new Map(),
};

/** Pools that stay keep what their retry budget holds. */
export function compileRules(config: Config, previous: Rules, clock: () => number): Rules {
  const budgets = new Map<string, RetryBudget>();
  for (const { name } of config.pools) {
    budgets.set(name, previous.budgets.get(name) ?? createRetryBudget(clock));
  }
  return {
    router: compileRoutes(config.routes),
    trust: trustPeers(config.trustedProxies),
    debugHeaders: config.debugHeaders,
    budgets,
  };
}
