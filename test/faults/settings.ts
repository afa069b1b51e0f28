// The cluster under test and the bounds that follow from its settings.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { GATEWAY_TTL_MS } from "@evenkeel/core/ledger/ledger.ts";

export const POOL = "app";
export const SIZE = { gateways: 3, schedulers: 2, monitors: 2, backends: 5 } as const;

const INTERVAL_MS = 200;
const PROBE_TIMEOUT_MS = 150;
const RISE = 2;
const FALL = 2;
const EJECT_MS = 500;
const EJECT_MAX_MS = 2_000;
const SLOW_START_MS = 200;
const CONNECT_TIMEOUT_MS = 300;
/** A backend that is frozen costs a request this much, then another one is tried. */
const ANSWER_TIMEOUT_MS = 800;

/** Connections come back within 0.5 s of each other, jobs of sweeps within a second, and a shared machine adds to both. */
const REJOIN_MS = 3_000;

/** After everything is whole again, all backends are picked from by all gateways. */
export const RETURN_BOUND_MS = EJECT_MAX_MS + RISE * INTERVAL_MS + PROBE_TIMEOUT_MS + REJOIN_MS;

/** What was wrong with a backend may be found out this long after it was over: a request had just been sent. */
export const LATE_FINDING_MS = ANSWER_TIMEOUT_MS + 1_000;

/** A backend that is broken for longer is found out: by requests, each of which says so with the next settle. */
export const FOUND_BOUND_MS = ANSWER_TIMEOUT_MS + 1_200;

/** After the last answer: a dead gateway's row is subtracted by a job once a second. */
export const COUNTS_BOUND_MS = GATEWAY_TTL_MS + 2_000;

/** Answers that only want of retry budget explains; more in one sequence is a fault. */
export const BUDGET_FAILURES_MAX = 50;

/** Requests in a row that must succeed once all have returned. */
export const AFTERWARDS = 200;

export const configFor = (webPort: number, backends: { id: string; url: string }[]): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: webPort, address: "127.0.0.1" }],
  routes: [
    {
      ...{ name: "all", match: { path: "/*" }, proxy: "dynamic", pool: POOL },
      retries: SIZE.backends - 1,
      retryStatuses: ["500-504"],
      timeouts: { responseHeadersMs: ANSWER_TIMEOUT_MS },
    },
  ],
  pools: [
    {
      name: POOL,
      backends,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      health: {
        ...{ protocol: "http", path: "/healthz", rise: RISE, fall: FALL },
        ...{ intervalMs: INTERVAL_MS, timeoutMs: PROBE_TIMEOUT_MS },
      },
      ejectMs: EJECT_MS,
      eject: { maxMs: EJECT_MAX_MS, statuses: ["500-504"] },
      slowStart: { windowMs: SLOW_START_MS },
    },
  ],
  debugHeaders: true,
});
