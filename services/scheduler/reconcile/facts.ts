// What of a configured pool the ledger has to know.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { PoolFacts } from "@evenkeel/core/ledger/ledger.ts";

/** Probes that may go missing before a backend found unhealthy by them is given another chance. */
const PROBES_MISSED = 3;

export function poolFacts(pool: Pool, configVersion: number): PoolFacts {
  const holdMs = Math.max(pool.ejectMs, PROBES_MISSED * (pool.probing?.intervalMs ?? 0));
  const { eject } = pool;
  return {
    pool: pool.name,
    configVersion,
    policy: pool.policy,
    rise: pool.rise,
    fall: pool.fall,
    holdMs,
    maxHoldMs: Math.max(eject.maxMs, holdMs),
    failures: eject.failures,
    failurePercent: eject.failurePercent,
    windowMs: eject.windowMs,
    minRequests: eject.minRequests,
    maxEjectPercent: eject.maxPercent,
    // Nobody would ever find it healthy.
    initial: pool.probing ? pool.initial : "healthy",
    panicPercent: pool.panicPercent,
    slowStartMs: pool.slowStart.windowMs,
    slowStartPercent: pool.slowStart.fromPercent,
    hashBound: pool.hashBound,
    spillAt: pool.spillAt,
    criteria: pool.criteria,
    distances: pool.distances,
    backends: pool.backends.toSorted((a, b) => a.priority - b.priority),
  };
}
