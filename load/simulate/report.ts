// What the tables of a scenario look like, and the page that holds them.
import { withMeasured } from "../measured.ts";
import type { Scenario } from "./scenarios.ts";
import { full, joining, matrix, type ResultOf } from "./tables.ts";

const COMMAND = "npm run simulate";

/** Cells up to here are shown in full; more are shown as p99 by gateways. */
const ROWS_IN_FULL_MAX = 20;

export function section(scenario: Scenario, resultOf: ResultOf): string {
  return `### ${scenario.title}\n\n${scenario.about}\n\n${tableOf(scenario, resultOf)}`;
}

function tableOf(scenario: Scenario, resultOf: ResultOf): string {
  if (scenario.name === "join") return joining(scenario, resultOf);
  return scenario.rows.length > ROWS_IN_FULL_MAX ? matrix(scenario, resultOf) : full(scenario, resultOf);
}

/** @throws when the page lacks its marks */
export function reported(page: string, all: readonly Scenario[], resultOf: ResultOf): string {
  return withMeasured(page, COMMAND, all.map((scenario) => section(scenario, resultOf)).join("\n\n"));
}
