// What is counted and logged of pools whose requests go to another one.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";

export interface FailoverObserver {
  /** @param to where its requests go now; null: nowhere else @param able it serves them itself, else nobody can */
  changed(pool: Pool, to: string | null, able: boolean): void;
  failedOver(pool: string, to: string): void;
  /** Pools that may fail over, and to which. */
  keep(ways: ReadonlyMap<string, readonly string[]>): void;
}

export function createFailoverObserver(metrics: Metrics, log: Log): FailoverObserver {
  const away = metrics.gauge(
    "evenkeel_gateway_failover",
    "1 while too few backends of a pool are ready and its requests go to another one",
    ["pool"],
    "max",
  );
  const requests = metrics.counter(
    "evenkeel_gateway_failed_over_total",
    "Requests and connections to a pool that went to another one",
    ["pool", "to"],
  );
  let kept: ReadonlyMap<string, readonly string[]> = new Map();
  return {
    changed({ name: pool, slowStart }, to, able) {
      away.set({ pool }, to === null ? 0 : 1);
      if (to !== null)
        log.warn({ pool, to }, "failover: too few backends of the pool are ready, its requests go elsewhere");
      else if (able) log.info({ pool, withinMs: slowStart.windowMs }, "failover is over, requests return");
      else log.warn({ pool }, "failover: no other pool can take its requests any more");
    },
    failedOver: (pool, to) => requests.inc({ pool, to }),
    keep(ways) {
      for (const [pool, others] of kept) {
        const next = ways.get(pool);
        if (next === undefined) away.remove(pool);
        for (const to of others) if (!next?.includes(to)) requests.remove(pool, to);
      }
      for (const pool of ways.keys()) if (!kept.has(pool)) away.set({ pool }, 0);
      kept = ways;
    },
  };
}
