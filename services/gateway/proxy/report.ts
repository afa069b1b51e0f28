// What is told about finished requests: metrics with bounded labels, and one log line each when asked for.
import type { Log } from "@evenkeel/runtime/log.ts";
import { LATENCY_BUCKETS, type Metrics } from "@evenkeel/runtime/metrics.ts";
import { EXHAUSTED } from "./failure.ts";

/** Label for requests that no route took. */
const NO_ROUTE = "none";
const CODE_CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;
/** Logged when the client left before the answer was complete; no client ever sees it. */
export const CLIENT_ABORT = 499;

export interface Finished {
  method: string;
  route: string | null;
  pool: string | null;
  /** The last one tried. */
  backend: string | null;
  status: number;
  durationMs: number;
  ttfbMs: number | null;
  attempts: number;
  /** Why the answer is not the backend's own, or broke off; null when all went well. */
  reason: string | null;
}

export interface Report {
  finished(request: Finished): void;
  /** Refused before it was a request. */
  refused(status: number): void;
  retried(pool: string): void;
  budgetExhausted(pool: string): void;
  cookieForged(pool: string): void;
  loadReportMalformed(pool: string): void;
  /** Routes and pools of a new configuration: series of those that are gone are dropped. */
  keep(routes: ReadonlySet<string>, pools: ReadonlySet<string>): void;
}

/** @param accessLog null: no line per request */
export function createReport(metrics: Metrics, accessLog: Log | null): Report {
  const requests = metrics.counter(
    "evenkeel_gateway_requests_total",
    "Requests answered or given up, by route and class of status",
    ["route", "code_class"],
  );
  const durations = metrics.histogram(
    "evenkeel_gateway_request_duration_seconds",
    "From the request's header section to the end of the answer",
    LATENCY_BUCKETS,
    ["route"],
  );
  const retries = metrics.counter(
    "evenkeel_gateway_retries_total",
    "Attempts after the first, on another backend",
    ["pool"],
  );
  const exhausted = metrics.counter(
    "evenkeel_gateway_retry_budget_exhausted_total",
    "Retries that were allowed but not within the budget",
    ["pool"],
  );
  const forgeries = metrics.counter(
    "evenkeel_gateway_affinity_cookies_refused_total",
    "Cookies of session affinity that this cluster has not signed",
    ["pool"],
  );
  const malformed = metrics.counter(
    "evenkeel_gateway_load_reports_malformed_total",
    "Load reports of backends that could not be read",
    ["pool"],
  );
  const aborts = metrics.counter(
    "evenkeel_gateway_client_aborts_total",
    "Clients that left before the answer was complete",
  );
  const refusals = metrics.counter(
    "evenkeel_gateway_exhausted_total",
    "Requests refused because this process ran out of file descriptors, ports or memory for connections",
  );
  let routesKept: ReadonlySet<string> = new Set();
  let poolsKept: ReadonlySet<string> = new Set();

  const count = (route: string, status: number) =>
    requests.inc({ route, code_class: CODE_CLASSES[Math.floor(status / 100) - 1] ?? "5xx" });

  return {
    finished(request) {
      const route = request.route ?? NO_ROUTE;
      count(route, request.status);
      durations.observe({ route }, request.durationMs / 1_000);
      if (request.status === CLIENT_ABORT) aborts.inc();
      if (request.reason === EXHAUSTED.text) refusals.inc();
      accessLog?.info(lineOf(request), "request");
    },
    refused: (status) => count(NO_ROUTE, status),
    retried: (pool) => retries.inc({ pool }),
    budgetExhausted: (pool) => exhausted.inc({ pool }),
    cookieForged: (pool) => forgeries.inc({ pool }),
    loadReportMalformed: (pool) => malformed.inc({ pool }),
    keep(routes, pools) {
      for (const route of routesKept.difference(routes)) {
        for (const code_class of CODE_CLASSES) requests.remove({ route, code_class });
        durations.remove({ route });
      }
      for (const pool of poolsKept.difference(pools)) {
        for (const metric of [retries, exhausted, forgeries, malformed]) metric.remove({ pool });
      }
      routesKept = routes;
      poolsKept = pools;
    },
  };
}

const lineOf = (request: Finished): Finished => ({
  ...request,
  durationMs: toMicroseconds(request.durationMs),
  ttfbMs: request.ttfbMs === null ? null : toMicroseconds(request.ttfbMs),
});

/** Still ms; finer digits are noise. */
const toMicroseconds = (ms: number): number => Math.round(ms * 1_000) / 1_000;
