// What the data path does for the requests of one pool beyond passing them on: most pools need nothing of it.
import { isDeepStrictEqual } from "node:util";
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { type Affinity, createAffinity } from "../asking/affinity.ts";
import { type Ask, compileAsk } from "../asking/ask.ts";
import { createLoadReports, type LoadReports } from "../asking/load-reports.ts";
import type { ZoneOf } from "../asking/zones.ts";
import { type BreakerState, type Breakers, createBreakers } from "./breaker.ts";
import { compileJudge, type Judge } from "./failure.ts";
import { createHedge, HEDGE_QUANTILE, type Hedge } from "./hedging.ts";
import type { Report } from "./report.ts";
import { createRetryBudget, type RetryBudget } from "./retry-budget.ts";

export interface PoolRules {
  name: string;
  /** As configured. */
  settings: Pool;
  budget: RetryBudget;
  /** What an answer's status says of its backend. */
  outcomeOf: Judge;
  /** Null: every pick is tried. */
  breakers: Breakers | null;
  /** Null: no request is sent to two backends. */
  hedge: Hedge | null;
  /** What the scheduler needs to know of a request; null: nothing. */
  ask: Ask | null;
  /** Null: sessions are not bound to backends. */
  affinity: Affinity | null;
  /** Null: backends are not asked to report their load, and what they say of it is none of our business. */
  loadReports: LoadReports | null;
}

export interface PoolRulesOptions {
  zoneOf: ZoneOf;
  report: Report;
  cookieSecret: () => Buffer | null;
  /** ms, monotonic */
  clock: () => number;
}

/** @param previous under the last configuration: what it has learnt of the pool stays */
export function compilePoolRules(
  pool: Pool,
  previous: PoolRules | null,
  options: PoolRulesOptions,
): PoolRules {
  const { report, zoneOf, cookieSecret, clock } = options;
  const onForged = () => report.cookieForged(pool.name);
  const onMalformed = () => report.loadReportMalformed(pool.name);
  const affinity = pool.affinity && createAffinity(pool, pool.affinity, { secret: cookieSecret, onForged });
  const { header } = pool.reports;
  return {
    name: pool.name,
    settings: pool,
    budget: previous?.budget ?? createRetryBudget(clock),
    outcomeOf: compileJudge(pool.eject.statuses),
    breakers: breakersOf(pool, previous, options),
    hedge: hedgeOf(pool, previous),
    ask: compileAsk(pool, zoneOf, affinity),
    affinity,
    loadReports: header.length > 0 ? createLoadReports(header, onMalformed) : null,
  };
}

function breakersOf(pool: Pool, previous: PoolRules | null, options: PoolRulesOptions): Breakers | null {
  const { breaker: settings } = pool;
  if (settings === null) return null;
  const onChange = (backend: string, state: BreakerState) =>
    options.report.breakerChanged(pool.name, backend, state);
  const same = isDeepStrictEqual(previous?.settings.breaker, settings);
  const breakers =
    (same && previous?.breakers) || createBreakers({ settings, clock: options.clock, onChange });
  breakers.configure(pool.backends);
  return breakers;
}

function hedgeOf({ hedge }: Pool, previous: PoolRules | null): Hedge | null {
  if (hedge === null) return null;
  const same = isDeepStrictEqual(previous?.settings.hedge, hedge);
  return (same && previous?.hedge) || createHedge({ ...hedge, quantile: HEDGE_QUANTILE });
}
