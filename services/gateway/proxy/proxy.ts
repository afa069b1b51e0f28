// The data path behind the listeners: each request becomes an exchange under the rules of the moment.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Handler } from "../messages/incoming.ts";
import { serve } from "./exchange.ts";
import { compileRules, NO_RULES, type Rules, type RulesOptions } from "./rules.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Proxy {
  handle: Handler;
  /** From the next request on. */
  configure(config: Config): Rules;
}

export function createProxy(around: Surroundings & RulesOptions): Proxy {
  let rules = NO_RULES;
  return {
    handle: (incoming) => serve(around, rules, incoming),
    configure(config) {
      rules = compileRules(config, rules, around);
      around.report.keep(new Set(config.routes.map(nameOf)), new Set(config.pools.map(nameOf)));
      return rules;
    },
  };
}

const nameOf = ({ name }: { name: string }): string => name;
