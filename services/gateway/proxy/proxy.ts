// The data path behind the listeners: each request becomes an exchange under the rules of the moment.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Handler } from "../listeners/connection.ts";
import { type Surroundings, serve } from "./exchange.ts";
import { compileRules, NO_RULES, type RulesOptions } from "./rules.ts";

export interface Proxy {
  handle: Handler;
  /** From the next request on. */
  configure(config: Config): void;
}

export function createProxy(around: Surroundings & RulesOptions): Proxy {
  let rules = NO_RULES;
  return {
    handle: (request, response, endpoint) => serve(around, rules, request, response, endpoint),
    configure(config) {
      rules = compileRules(config, rules, around);
      around.report.keep(new Set(config.routes.map(nameOf)), new Set(config.pools.map(nameOf)));
    },
  };
}

const nameOf = ({ name }: { name: string }): string => name;
