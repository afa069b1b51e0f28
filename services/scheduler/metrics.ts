// The scheduler's own metrics, and the one log line per pool for a Redis that fails decisions. Their number is bounded:
// only pools of the applied configuration get as far.
import type { Log } from "@evenkeel/runtime/log.ts";
import { createMetrics, type Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import type { BatchObserver } from "./batching/batcher.ts";

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];
/** Seconds; from a pick on loopback to the command timeout. */
const LEDGER_BUCKETS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

export interface SchedulerMetrics {
  metrics: Metrics;
  observer: BatchObserver;
  /** @param pools all there are: the metrics of others end */
  onReconciled(configVersion: number, pools: readonly string[]): void;
  /** @param result `taken`, or the code it was refused with */
  onRegistration(result: string): void;
}

/** @param decisions the connection that decisions are made over */
export function createSchedulerMetrics(decisions: Redis, log: Log): SchedulerMetrics {
  const metrics = createMetrics();
  const decided = metrics.counter(
    "evenkeel_scheduler_decisions_total",
    "Wants answered, with a backend or with none",
    ["pool"],
  );
  const size = metrics.histogram(
    "evenkeel_scheduler_batch_size",
    "Statements in one ledger call",
    BATCH_BUCKETS,
  );
  const seconds = metrics.histogram(
    "evenkeel_scheduler_ledger_seconds",
    "Duration of a ledger call that settles",
    LEDGER_BUCKETS,
  );
  const errors = metrics.counter(
    "evenkeel_scheduler_ledger_errors_total",
    "Ledger calls of the decision path that Redis failed",
  );
  const registrations = metrics.counter(
    "evenkeel_scheduler_registrations_total",
    "Registrations and renewals of backends, by result: taken, or the code of the refusal",
    ["result"],
  );
  const up = metrics.gauge("evenkeel_redis_up", "1 while the connection for decisions stands");
  const version = metrics.gauge("evenkeel_config_version", "Version of the configuration in use");
  /** In a Redis Cluster some pools may fail while others do not. */
  const failing = new Set<string>();
  let known: ReadonlySet<string> = new Set();
  up.set(decisions.status === "ready" ? 1 : 0);
  decisions.on("ready", () => up.set(1));
  decisions.on("close", () => up.set(0));
  return {
    metrics,
    observer: {
      calling(statements) {
        size.observe(statements);
        return seconds.startTimer();
      },
      decided(pool, wants) {
        decided.inc({ pool }, wants);
        if (failing.delete(pool)) log.info({ pool }, "redis settles again");
      },
      failed(pool, error) {
        errors.inc();
        if (failing.has(pool)) return;
        failing.add(pool);
        log.warn({ pool, reason: error.message }, "redis failed decisions; gateways decide alone");
      },
    },
    onReconciled(configVersion, pools) {
      version.set(configVersion);
      const there = new Set(pools);
      for (const pool of known) {
        if (there.has(pool)) continue;
        decided.remove(pool);
        failing.delete(pool);
      }
      known = there;
    },
    onRegistration: (result) => registrations.inc({ result }),
  };
}
