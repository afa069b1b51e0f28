// What a monitor counts. Labels are pools of the configuration; a pool that is gone takes its series along.
import { LATENCY_BUCKETS, type Metrics } from "@evenkeel/runtime/metrics.ts";

export type MonitorMetrics = ReturnType<typeof createMonitorMetrics>;

/** Seconds. A tenth of an interval of 1 s, and of 100 ms, can be read off. */
export const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1];

/** Why a probe was not made, or its finding not believed. */
const SKIPPED = ["late", "busy", "held up"];

export function createMonitorMetrics(metrics: Metrics) {
  const probes = metrics.counterFamily("evenkeel_monitor_probes_total", "Probes made");
  const probeSeconds = metrics
    .histogramFamily("evenkeel_monitor_probe_seconds", "Duration of a probe", LATENCY_BUCKETS)
    .child({});
  const lag = "From when a probe was due to when it was started";
  const roundLag = "From when a round's job was due to when it was taken";
  const perPool = {
    skipped: metrics.counter(
      "evenkeel_monitor_probes_skipped_total",
      "Probes not made, or not believed: too late, too many at once, or this process was held up",
      ["pool", "reason"],
    ),
    dropped: metrics.counter("evenkeel_monitor_findings_dropped_total", "Findings that were not recorded", [
      "pool",
    ]),
    observeFailures: metrics.counter(
      "evenkeel_monitor_observe_failures_total",
      "Statements of findings that failed",
      ["pool"],
    ),
    agentFailures: metrics.counter(
      "evenkeel_monitor_agent_failures_total",
      "Agents that did not tell all that was asked",
      ["pool"],
    ),
    transitions: metrics.counter("evenkeel_monitor_transitions_total", "Changes of health caused", [
      "pool",
      "to",
    ]),
  };
  return {
    ...perPool,
    /** One that was made. */
    probed(pool: string, ok: boolean, latencyMs: number) {
      probes.child({ pool, result: ok ? "good" : "bad" }).value += 1;
      probeSeconds.observe(latencyMs / 1_000);
    },
    lagSeconds: metrics.histogramFamily("evenkeel_monitor_probe_lag_seconds", lag, LAG_BUCKETS).child({}),
    rounds: metrics.counter("evenkeel_monitor_rounds_total", "Rounds of a shard taken"),
    roundsMissed: metrics.counter(
      "evenkeel_monitor_rounds_missed_total",
      "Rounds over before their job came",
    ),
    roundLagSeconds: metrics
      .histogramFamily("evenkeel_monitor_round_lag_seconds", roundLag, LAG_BUCKETS)
      .child({}),
    watchdogRestarts: metrics.counter(
      "evenkeel_monitor_watchdog_restarts_total",
      "Worker, queue and job schedulers rebuilt because nothing was probed",
    ),
    forget(pool: string) {
      for (const result of ["good", "bad"]) probes.remove({ pool, result });
      for (const reason of SKIPPED) perPool.skipped.remove({ pool, reason });
      for (const to of ["healthy", "unhealthy"]) perPool.transitions.remove({ pool, to });
      for (const counter of [perPool.dropped, perPool.observeFailures, perPool.agentFailures])
        counter.remove({ pool });
    },
  };
}
