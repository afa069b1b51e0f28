// A monitor's work: follows the configuration with job schedulers, performs the sweeps it is handed, and starts
// afresh when the watchdog says so.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import type { MonitorMetrics } from "../metrics.ts";
import { startWatchdog } from "../watchdog/watchdog.ts";
import { type Engine, startEngine } from "./engine.ts";
import { keepSchedulers } from "./job-schedulers.ts";
import { noteSweep, sweptAgoMs } from "./last-sweep.ts";
import { createLimit } from "./limit.ts";
import { createPerformer } from "./performer.ts";
import { type Shard, shardsOf, shortestStandstillMs } from "./shards.ts";

/** Probes this process has open at any moment. */
const PROBES_AT_ONCE = 1_024;
/** Agents it is asking at any moment, besides. */
const AGENTS_AT_ONCE = 512;
/** Repairs what was lost without a reconnect or a change of the configuration. */
const RECONCILE_INTERVAL_MS = 5_000;

export interface SweepingOptions {
  redis: Redis;
  openBlocking: () => Redis;
  prefix: string;
  /** This monitor, as a member. */
  id: string;
  ledger: Pick<Ledger, "observe">;
  metrics: MonitorMetrics;
  log: Log;
}

export interface Sweeping {
  /** The pools of a new configuration. Nothing is swept or scheduled before the first. */
  configure(pools: readonly Pool[]): void;
  readonly engine: Engine;
  /** Finishes sweeps in progress, within a deadline. The job schedulers stay, for the other monitors. */
  stop(): Promise<void>;
}

export function startSweeping(options: SweepingOptions): Sweeping {
  const { redis, prefix, id, metrics, log } = options;
  let shards: Map<string, Shard> | null = null;
  let engine: Engine;

  const perform = createPerformer({
    ...options,
    limit: createLimit(PROBES_AT_ONCE),
    agentLimit: createLimit(AGENTS_AT_ONCE),
    shardOf: (shardId) => shards?.get(shardId),
    done: () => noteSweep(redis, prefix, id),
  });
  engine = startEngine({ ...options, perform });
  const schedulers = keepSchedulers(
    () => engine.queue,
    () => shards && [...shards.values()],
    () => Date.now(),
    log,
  );
  redis.on("ready", schedulers.reconcile);
  const timer = setInterval(schedulers.reconcile, RECONCILE_INTERVAL_MS);
  const watchdog = startWatchdog({
    clock: () => performance.now(),
    limitMs: () => shards && shortestStandstillMs(shards.values()),
    sweptAgoMs: () => sweptAgoMs(redis, prefix),
    async rebuild({ quietMs }) {
      log.error({ quietMs }, "no sweep in the whole cluster though redis answers: starting afresh");
      metrics.watchdogRestarts.inc();
      await engine.close(true);
      engine = startEngine({ ...options, perform });
      await schedulers.reconcile();
    },
  });

  return {
    configure(pools) {
      const next = new Map(pools.flatMap(shardsOf).map((shard) => [shard.id, shard]));
      const kept = new Set(next.values().map((shard) => shard.pool));
      for (const { pool } of shards?.values() ?? []) if (!kept.has(pool)) metrics.forget(pool);
      shards = next;
      void schedulers.reconcile();
    },
    get engine() {
      return engine;
    },
    async stop() {
      await watchdog.stop();
      clearInterval(timer);
      redis.off("ready", schedulers.reconcile);
      await engine.close(redis.status !== "ready"); // without Redis no sweep can be recorded any more
    },
  };
}
