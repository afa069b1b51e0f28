// What the data path does for the requests of one pool beyond passing them on: most pools need nothing of it.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { type Affinity, createAffinity } from "../asking/affinity.ts";
import { type Ask, compileAsk, type Whence } from "../asking/ask.ts";
import { createLoadReports, type LoadReports } from "../asking/load-reports.ts";
import type { Report } from "./report.ts";
import type { RetryBudget } from "./retry-budget.ts";

export interface PoolRules {
  budget: RetryBudget;
  /** What the scheduler needs to know of a request; null: nothing. */
  ask: Ask | null;
  /** Null: sessions are not bound to backends. */
  affinity: Affinity | null;
  /** Null: backends are not asked to report their load, and what they say of it is none of our business. */
  loadReports: LoadReports | null;
}

export interface PoolRulesOptions extends Whence {
  budget: RetryBudget;
  report: Report;
  cookieSecret: () => Buffer | null;
}

export function compilePoolRules(pool: Pool, options: PoolRulesOptions): PoolRules {
  const { budget, report, cookieSecret } = options;
  const onForged = () => report.cookieForged(pool.name);
  const onMalformed = () => report.loadReportMalformed(pool.name);
  const affinity = pool.affinity && createAffinity(pool, pool.affinity, { secret: cookieSecret, onForged });
  const { header } = pool.reports;
  return {
    budget,
    ask: compileAsk(pool, options, affinity),
    affinity,
    loadReports: header.length > 0 ? createLoadReports(header, onMalformed) : null,
  };
}
