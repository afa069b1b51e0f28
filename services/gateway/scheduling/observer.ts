// What is worth counting and logging of a pool's conversation with the schedulers. Metrics are resolved once per pool:
// a decision pays for an addition, not for finding its labels.
import type { Log } from "@evenkeel/runtime/log.ts";
import { LATENCY_BUCKETS, type Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Pick, PoolView } from "./scheduling.ts";
import type { SeenBy } from "./sightings.ts";

/** Seconds; from a hint over pub/sub to a read long after it. */
const SEEN_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 1.2, 2, 5];

const SOURCES: readonly Pick["source"][] = ["scheduler", "fallback", "static"];

export interface Observer {
  decided(source: Pick["source"]): void;
  settled(durationMs: number): void;
  failed(reason: string): void;
  /** A settle that requests did not wait for to the end. */
  overdue(): void;
  deciding(by: PoolView["deciding"]): void;
  /** Schedulers fail, or are late for long; null: they answer again. */
  trouble(reason: string | null): void;
  panic(on: boolean): void;
  /** Another health of a backend is known here. */
  seen(by: SeenBy, afterMs: number): void;
  /** The pool is gone: so are its metrics. */
  close(): void;
}

export function createObservers(metrics: Metrics, log: Log): (pool: string) => Observer {
  const decisions = metrics.counter("evenkeel_gateway_decisions_total", "Picks by who made them", [
    "pool",
    "source",
  ]);
  const settles = metrics.histogram(
    "evenkeel_gateway_settle_seconds",
    "From statement sent to answer",
    LATENCY_BUCKETS,
    ["pool"],
  );
  const failures = metrics.counter("evenkeel_gateway_settle_failures_total", "Settles without an answer", [
    "pool",
  ]);
  const overdue = metrics.counter(
    "evenkeel_gateway_settles_overdue_total",
    "Settles that requests did not wait for to the end",
    ["pool"],
  );
  const fallback = metrics.gauge(
    "evenkeel_gateway_fallback",
    "1 while this gateway picks by itself because no scheduler answers",
    ["pool"],
    "max",
  );
  const panics = metrics.gauge(
    "evenkeel_gateway_panic",
    "1 while the healthy backends of a pool cannot carry its load and every active one is used",
    ["pool"],
    "max",
  );
  const sights = metrics.histogram(
    "evenkeel_gateway_health_seen_seconds",
    "From a change of a backend's health to this gateway knowing it, by the clocks of both",
    SEEN_BUCKETS,
    ["by"],
  );

  return (pool) => {
    const decided = Object.fromEntries(SOURCES.map((source) => [source, decisions.labels(pool, source)]));
    const seconds = settles.labels(pool);
    return {
      decided: (source) => decided[source]?.inc(),
      settled: (durationMs) => seconds.observe(durationMs / 1_000),
      failed(reason) {
        failures.inc({ pool });
        log.debug({ pool, reason }, "settle failed");
      },
      overdue: () => overdue.inc({ pool }),
      deciding: (by) => fallback.set({ pool }, by === "fallback" ? 1 : 0),
      trouble(reason) {
        if (reason !== null) log.warn({ pool, reason }, "picking by itself until a scheduler answers");
        else log.info({ pool }, "a scheduler answers again");
      },
      panic(on) {
        panics.set({ pool }, on ? 1 : 0);
        if (on) log.warn({ pool }, "panic: too few backends of the pool are healthy, using all of it");
        else log.info({ pool }, "panic is over");
      },
      seen: (by, afterMs) => sights.observe({ by }, Math.max(0, afterMs) / 1_000),
      close() {
        for (const source of SOURCES) decisions.remove(pool, source);
        for (const metric of [settles, failures, overdue, fallback, panics]) metric.remove(pool);
      },
    };
  };
}
