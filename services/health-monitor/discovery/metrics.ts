// What discovery shows of itself. Only the monitor that leads has series of pools; they go when it leads no more.
import type { Source } from "@evenkeel/core/config/discovered.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";

export type DiscoveryMetrics = ReturnType<typeof createDiscoveryMetrics>;

export function createDiscoveryMetrics(metrics: Metrics) {
  const labels = ["pool", "source"] as const;
  const gauge = (name: string, help: string) =>
    metrics.gauge(`evenkeel_monitor_discovery_${name}`, help, labels);
  const changes = metrics.counter(
    "evenkeel_monitor_discovery_changes_total",
    "Answers that changed what is known of a pool",
    labels,
  );
  const gauges = {
    backends: gauge("backends", "Backends that count as found"),
    failing: gauge("failing", "1: the source cannot tell, the last good answer stays"),
    kept: gauge("kept", "1: the source names no backend, its last ones stay"),
    leftOut: gauge(
      "left_out",
      "Backends that were named but serve nobody: forbidden, faulty, or unfit for the pool",
    ),
    ageSeconds: gauge(
      "answer_age_seconds",
      "Since the source's last good answer; of a file: since it was read",
    ),
  };
  return {
    ...gauges,
    changes,
    leading: metrics.gauge(
      "evenkeel_monitor_discovery_leading",
      "1: this monitor does the discovery of all pools",
    ),
    /** A source that is no more takes its series along. */
    forget(pool: string, source: Source) {
      for (const one of Object.values(gauges)) one.remove({ pool, source });
      changes.remove({ pool, source });
    },
    /** Counters outlive the lead, or they would seem to begin anew. */
    forgetAll() {
      for (const one of Object.values(gauges)) one.reset();
    },
  };
}
