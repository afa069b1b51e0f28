// What is told about finished requests: metrics with bounded labels, and one log line each when asked for.
import type { Log } from "@evenkeel/runtime/log.ts";
import {
  type CounterChild,
  type HistogramChild,
  LATENCY_BUCKETS,
  type Metrics,
} from "@evenkeel/runtime/metrics.ts";
import type { BreakerState } from "./breaker.ts";
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
  /** What the system or library says of it; empty: nothing. */
  detail: string;
}

export interface Report {
  finished(request: Finished): void;
  /** Refused before it was a request. */
  refused(status: number): void;
  retried(pool: string): void;
  hedged(pool: string): void;
  budgetExhausted(pool: string): void;
  breakerChanged(pool: string, backend: string, state: BreakerState): void;
  cookieForged(pool: string): void;
  loadReportMalformed(pool: string): void;
  /** Routes and pools of a new configuration: series of those that are gone are dropped. */
  keep(routes: ReadonlySet<string>, pools: ReadonlySet<string>): void;
}

/** What is counted of one route. */
interface RouteSeries {
  /** By class of status, 1xx first. */
  classes: CounterChild[];
  durations: HistogramChild;
}

/** @param accessLog null: no line per request */
export function createReport(metrics: Metrics, log: Log, accessLog: Log | null): Report {
  const requests = metrics.counterFamily(
    "evenkeel_gateway_requests_total",
    "Requests answered or given up, by route and class of status",
  );
  const durations = metrics.histogramFamily(
    "evenkeel_gateway_request_duration_seconds",
    "From the request's header section to the end of the answer",
    LATENCY_BUCKETS,
  );
  const retries = metrics.counter(
    "evenkeel_gateway_retries_total",
    "Attempts after the first, on another backend",
    ["pool"],
  );
  const hedges = metrics.counter(
    "evenkeel_gateway_hedges_total",
    "Second attempts beside a first one that took long",
    ["pool"],
  );
  const opened = metrics.counter(
    "evenkeel_gateway_breakers_opened_total",
    "Breakers of backends that this gateway has opened",
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

  const series = new Map<string, RouteSeries>();
  const seriesOf = (route: string): RouteSeries => {
    const known = series.get(route);
    if (known) return known;
    const classes = CODE_CLASSES.map((code_class) => requests.child({ route, code_class }));
    const opened = { classes, durations: durations.child({ route }) };
    series.set(route, opened);
    return opened;
  };
  const count = ({ classes }: RouteSeries, status: number) => {
    (classes[Math.floor(status / 100) - 1] ?? (classes[4] as CounterChild)).value += 1;
  };

  return {
    finished(request) {
      const route = seriesOf(request.route ?? NO_ROUTE);
      count(route, request.status);
      route.durations.observe(request.durationMs / 1_000);
      if (request.status === CLIENT_ABORT) aborts.inc();
      if (request.reason === EXHAUSTED.text) refusals.inc();
      accessLog?.info(lineOf(request), "request");
    },
    refused: (status) => count(seriesOf(NO_ROUTE), status),
    retried: (pool) => retries.inc({ pool }),
    hedged: (pool) => hedges.inc({ pool }),
    budgetExhausted: (pool) => exhausted.inc({ pool }),
    breakerChanged(pool, backend, state) {
      if (state === "open") opened.inc({ pool });
      log.warn({ pool, backend, state }, "breaker");
    },
    cookieForged: (pool) => forgeries.inc({ pool }),
    loadReportMalformed: (pool) => malformed.inc({ pool }),
    keep(routes, pools) {
      for (const route of routesKept.difference(routes)) {
        for (const code_class of CODE_CLASSES) requests.remove({ route, code_class });
        durations.remove({ route });
        series.delete(route);
      }
      for (const pool of poolsKept.difference(pools)) {
        for (const metric of [retries, hedges, opened, exhausted, forgeries, malformed])
          metric.remove({ pool });
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
