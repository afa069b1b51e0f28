// A monitor's work: follows the configuration with job schedulers, probes what it is leased, tells the ledger what it
// found, and starts afresh when the watchdog says so.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import type { MonitorMetrics } from "../metrics.ts";
import { startWatchdog } from "../watchdog/watchdog.ts";
import { createDoubts } from "./doubts.ts";
import { type Engine, startEngine } from "./engine.ts";
import { createFindings } from "./findings.ts";
import { keepSchedulers } from "./job-schedulers.ts";
import { keepNoting, sweptAgoMs } from "./last-sweep.ts";
import { createPacer } from "./pacer.ts";
import { createRounds } from "./rounds.ts";
import { cutShards } from "./shards.ts";
import { type Watched, watchedOf } from "./watched.ts";

/** Repairs what was lost without a reconnect or a change of the configuration, and learns what others doubt. */
const UPKEEP_INTERVAL_MS = 250;
/** Without a round in the whole cluster for so long, it stands still. */
export const STANDSTILL_MS = 5_000;
/** For the rest of its rounds, and probes that are open then, at an orderly stop. */
const FINISH_DEADLINE_MS = 3_000;

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
  /** The pools of a new configuration. Nothing is probed or scheduled before the first. */
  configure(pools: readonly Pool[]): void;
  readonly engine: Engine;
  /** Finishes rounds in progress, within a deadline. The job schedulers stay, for the other monitors. */
  stop(): Promise<void>;
}

export function startSweeping(options: SweepingOptions): Sweeping {
  const { redis, prefix, id, metrics, log } = options;
  let watched = new Map<string, Watched>();
  let shards: Map<string, Watched[]> | null = null;
  let engine: Engine;

  const doubts = createDoubts(redis, prefix, log);
  const findings = createFindings({
    ...options,
    judged(judgements) {
      doubts.note(judgements.map(({ watched: { key }, doubtful }) => ({ key, doubtful })));
      for (const { watched: one, doubtful } of judgements) pacer.doubt(one, doubtful);
    },
  });
  const pacer = createPacer({ metrics, log, report: findings.add });
  const rounds = createRounds({
    shardOf: (shardId) => shards?.get(shardId),
    lease: (backends, fromMs, untilMs) => {
      pacer.lease(backends, fromMs, untilMs);
      for (const one of backends) if (doubts.has(one.key)) pacer.doubt(one, true);
    },
    taken: keepNoting(redis, prefix, id, log),
    metrics,
  });
  engine = startEngine({ ...options, perform: rounds.perform });
  const schedulers = keepSchedulers(
    redis,
    () => engine.queue,
    () => shards?.keys() ?? null,
    () => Date.now(),
    rounds.adopt,
    log,
  );
  const upkeep = async () => {
    if (redis.status !== "ready") return;
    void schedulers.reconcile();
    const nowMs = Date.now();
    for (const key of await doubts.refresh()) {
      const one = watched.get(key);
      if (one && one.untilMs > nowMs) pacer.doubt(one, true);
    }
  };
  redis.on("ready", schedulers.reconcile);
  const timer = setInterval(upkeep, UPKEEP_INTERVAL_MS);
  const watchdog = startWatchdog({
    clock: () => performance.now(),
    limitMs: () => (shards && shards.size > 0 ? STANDSTILL_MS : null),
    sweptAgoMs: () => sweptAgoMs(redis, prefix),
    async rebuild({ quietMs }) {
      log.error({ quietMs }, "no round in the whole cluster though redis answers: starting afresh");
      metrics.watchdogRestarts.inc();
      await engine.close(true);
      engine = startEngine({ ...options, perform: rounds.perform });
      await schedulers.reconcile();
    },
  });

  return {
    configure(pools) {
      const before = new Set([...watched.values()].map(({ pool }) => pool));
      watched = watchedOf(pools, watched);
      shards = cutShards([...watched.values()], ({ key }) => key);
      const after = new Set([...watched.values()].map(({ pool }) => pool));
      for (const pool of before) if (!after.has(pool)) metrics.forget(pool);
      void schedulers.reconcile();
    },
    get engine() {
      return engine;
    },
    async stop() {
      await watchdog.stop();
      clearInterval(timer);
      redis.off("ready", schedulers.reconcile);
      const alone = redis.status !== "ready"; // nothing can be recorded any more
      await engine.close(alone);
      await pacer.finish(alone ? 0 : FINISH_DEADLINE_MS);
      await findings.flush();
    },
  };
}
