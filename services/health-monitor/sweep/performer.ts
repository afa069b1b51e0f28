// What a worker does with a job: finds the shard it names, leaves it when it is pointless by now, and sweeps it.
import type { Shard } from "./shards.ts";
import { type SweepContext, sweep } from "./sweep.ts";

/** A sweep may begin this late however short its interval: Redis wakes who waits for a time in steps of 100 ms. */
const LATE_FLOOR_MS = 500;

export interface PerformerOptions extends SweepContext {
  /** By the newest configuration; undefined when it has no such shard. */
  shardOf: (id: string) => Shard | undefined;
  /** After every sweep that the ledger recorded. */
  done: () => Promise<void>;
}

/** Of a shard id and when its sweep was due, ms since the epoch. Never rejects. */
export function createPerformer({ shardOf, done, ...context }: PerformerOptions) {
  const { metrics, log } = context;
  const underWay = new Set<string>();

  return async (shardId: string, dueMs: number): Promise<void> => {
    const shard = shardOf(shardId);
    // Unknown: this monitor has not seen that configuration yet, or already a newer one.
    if (!shard || underWay.has(shardId)) return;
    const { pool } = shard;
    const lagMs = Date.now() - dueMs;
    metrics.lagSeconds.observe(Math.max(0, lagMs) / 1_000);
    // Late after an outage, or for want of workers: the next job is at hand, and sweeping for both would pile up.
    if (lagMs > Math.max(shard.probing.intervalMs, LATE_FLOOR_MS)) {
      metrics.late.inc({ pool });
      return;
    }
    underWay.add(shardId);
    try {
      await sweep(shard, context);
      await done();
    } catch (error) {
      metrics.failed.inc({ pool });
      log.warn({ pool, shard: shardId, reason: (error as Error).message }, "sweep not recorded");
    } finally {
      underWay.delete(shardId);
    }
  };
}
