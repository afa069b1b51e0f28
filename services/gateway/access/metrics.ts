// What is counted of access, by check: a bounded set of names.
import type { Metrics } from "@evenkeel/runtime/metrics.ts";

export interface AccessMetrics {
  refused(check: string): void;
  /** What the check depends on did not answer. */
  unavailable(check: string): void;
  /** … and the request passed all the same. */
  failedOpen(check: string): void;
  /** A request passed uncounted. */
  rateLimitUnavailable(): void;
}

export function createAccessMetrics(metrics: Metrics): AccessMetrics {
  const refused = metrics.counter(
    "evenkeel_gateway_access_refused_total",
    "Requests refused before anything was forwarded, by the check that refused",
    ["check"],
  );
  const unavailable = metrics.counter(
    "evenkeel_gateway_access_unavailable_total",
    "Checks that could not be made: keys, files or services did not answer, or were busy",
    ["check"],
  );
  const failedOpen = metrics.counter(
    "evenkeel_gateway_access_failed_open_total",
    "Requests that passed though a check could not be made, as configured",
    ["check"],
  );
  const rateLimit = metrics.counter(
    "evenkeel_gateway_rate_limit_unavailable_total",
    "Requests that passed without being counted, because Redis did not answer in time",
  );
  return {
    refused: (check) => refused.inc({ check }),
    unavailable: (check) => unavailable.inc({ check }),
    failedOpen: (check) => failedOpen.inc({ check }),
    rateLimitUnavailable: () => rateLimit.inc(),
  };
}
