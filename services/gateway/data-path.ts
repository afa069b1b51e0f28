// The data path as one thing: listeners, proxy and upstream connections, brought in line with a configuration
// together and drained in order. What a request meets is always one configuration, never parts of two.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import { createZones } from "./asking/zones.ts";
import { createListeners, type ListenError, type OpenListener } from "./listeners/listeners.ts";
import { createProxy } from "./proxy/proxy.ts";
import { createReport } from "./proxy/report.ts";
import type { Scheduling } from "./scheduling/scheduling.ts";
import { createOrigins } from "./upstream/origins.ts";

export interface DataPathOptions {
  scheduling: Scheduling;
  metrics: Metrics;
  log: Log;
  /** This gateway's own; empty: nobody said. */
  zone: string;
  /** Signs the cookies of session affinity; null while it is not known. */
  cookieSecret: () => Buffer | null;
  /** Null: no line per request. */
  accessLog: Log | null;
  /** ms, monotonic */
  clock: () => number;
  portOffset: number;
  /** After the order to stop: still accept, not ready, this long; then wait that long for requests in flight. */
  drainGraceMs: number;
  drainDeadlineMs: number;
}

export interface DataPath {
  /** Takes effect at once for the next request; answers the listeners that could not be opened. */
  configure(config: Config): Promise<ListenError[]>;
  listeners(): OpenListener[];
  /** Null when requests are welcome, else why not. */
  notReady(): string | null;
  drain(): Promise<void>;
}

export function createDataPath(options: DataPathOptions): DataPath {
  const { scheduling, metrics, log, cookieSecret, clock, portOffset, drainDeadlineMs } = options;
  const origins = createOrigins();
  const report = createReport(metrics, options.accessLog);
  const zones = createZones({ own: options.zone, metrics, log });
  const proxy = createProxy({ scheduling, origins, report, zones, cookieSecret, clock });
  const listeners = createListeners({
    handle: proxy.handle,
    onRefused: report.refused,
    portOffset,
    closeDeadlineMs: drainDeadlineMs,
  });
  let state: "waiting" | "serving" | "draining" = "waiting";

  return {
    async configure(config) {
      scheduling.setPools(config.pools);
      origins.configure(config.pools);
      proxy.configure(config);
      if (state === "draining") return [];
      const errors = await listeners.configure(config.listeners);
      if (state === "waiting") state = "serving";
      return errors;
    },
    listeners: listeners.open,
    notReady() {
      if (state === "waiting") return "no configuration yet";
      if (state === "draining") return "draining";
      const [failure] = listeners.failing();
      if (failure) return failure.message;
      return listeners.open().length > 0 ? null : "no listener is open";
    },
    async drain() {
      state = "draining";
      await listeners.close(options.drainGraceMs, drainDeadlineMs);
      origins.close();
      zones.close();
    },
  };
}
