// What is counted of notifications. Labels are webhooks of the configuration; one that is gone takes its series along.
import type { Metrics } from "@evenkeel/runtime/metrics.ts";

/** Seconds; from at once to a receiver that was down for long. */
const LAG_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

export type NotificationMetrics = ReturnType<typeof createNotificationMetrics>;

export function createNotificationMetrics(metrics: Metrics) {
  const sent = metrics.counter("evenkeel_notifications_sent_total", "Events that a webhook took", [
    "webhook",
  ]);
  const failed = metrics.counter("evenkeel_notifications_failed_total", "Attempts that failed", ["webhook"]);
  const dead = metrics.counter(
    "evenkeel_notifications_dead_total",
    "Events given up: attempts used up, refused for good, or too many waiting",
    ["webhook"],
  );
  const skipped = metrics.counter(
    "evenkeel_notifications_skipped_total",
    "Events that were too old when they were seen",
    ["webhook"],
  );
  const lag = metrics.histogram(
    "evenkeel_notifications_lag_seconds",
    "From an event to its receiver's answer",
    LAG_BUCKETS,
    ["webhook"],
  );
  return {
    sent,
    failed,
    dead,
    skipped,
    lag,
    waiting: metrics.gauge(
      "evenkeel_notifications_waiting",
      "Notifications queued, of all monitors; said by the leading one, 0 by others",
    ),
    forget(webhook: string) {
      for (const metric of [sent, failed, dead, skipped, lag]) metric.remove({ webhook });
    },
  };
}
