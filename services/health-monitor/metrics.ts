// What a monitor counts. Labels are pools of the configuration; a pool that is gone takes its series along.
import { LATENCY_BUCKETS, type Metrics } from "@evenkeel/runtime/metrics.ts";

export type MonitorMetrics = ReturnType<typeof createMonitorMetrics>;

export function createMonitorMetrics(metrics: Metrics) {
  const probes = metrics.counter("evenkeel_monitor_probes_total", "Probes made", ["pool", "result"]);
  const sweeps = metrics.counter("evenkeel_monitor_sweeps_total", "Sweeps completed", ["pool"]);
  const late = metrics.counter("evenkeel_monitor_sweeps_skipped_total", "Sweeps skipped: too late", ["pool"]);
  const failed = metrics.counter("evenkeel_monitor_sweeps_failed_total", "Sweeps not recorded", ["pool"]);
  const agentFailures = metrics.counter(
    "evenkeel_monitor_agent_failures_total",
    "Agents that did not tell all that was asked",
    ["pool"],
  );
  const transitions = metrics.counter("evenkeel_monitor_transitions_total", "Changes of health caused", [
    "pool",
    "to",
  ]);
  return {
    probes,
    sweeps,
    late,
    failed,
    agentFailures,
    transitions,
    probeSeconds: metrics.histogram("evenkeel_monitor_probe_seconds", "Duration of a probe", LATENCY_BUCKETS),
    lagSeconds: metrics.histogram(
      "evenkeel_monitor_sweep_lag_seconds",
      "From when a sweep was due to when it began",
      LATENCY_BUCKETS,
    ),
    watchdogRestarts: metrics.counter(
      "evenkeel_monitor_watchdog_restarts_total",
      "Worker, queue and job schedulers rebuilt because nothing was swept",
    ),
    forget(pool: string) {
      sweeps.remove({ pool });
      late.remove({ pool });
      failed.remove({ pool });
      agentFailures.remove({ pool });
      for (const result of ["good", "bad"]) probes.remove({ pool, result });
      for (const to of ["healthy", "unhealthy"]) transitions.remove({ pool, to });
    },
  };
}
