// The data path as one thing: listeners, proxy and upstream connections, brought in line with a configuration
// together and drained in order. What a request meets is always one configuration, never parts of two.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import { compileAccess, keepServices } from "./access/compile.ts";
import type { AccessServices } from "./access/services.ts";
import { createZones } from "./asking/zones.ts";
import { acceptProxyHeader } from "./l4/proxy-protocol.ts";
import { createStreamReport } from "./l4/report.ts";
import { createStreams } from "./l4/streams.ts";
import type { Bind } from "./listeners/bind.ts";
import { createHttpOpener } from "./listeners/http-listener.ts";
import { createListeners, type ListenError, type OpenListener } from "./listeners/listeners.ts";
import { createListenerReport } from "./listeners/report.ts";
import { createTlsContexts } from "./listeners/tls-contexts.ts";
import { createProxy } from "./proxy/proxy.ts";
import { createReport } from "./proxy/report.ts";
import type { Scheduling } from "./scheduling/scheduling.ts";
import { createOrigins } from "./upstream/origins.ts";
import { createOriginsReport } from "./upstream/report.ts";

export interface DataPathOptions {
  scheduling: Scheduling;
  access: AccessServices;
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
  /** 0 to below 1 */
  random: () => number;
  /** Opens the ports of connections. */
  bind: Bind;
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
  const { scheduling, access, metrics, log, cookieSecret, clock, random, bind, drainDeadlineMs } = options;
  const origins = createOrigins({ clock, watcher: createOriginsReport(metrics, log) });
  const report = createReport(metrics, log, options.accessLog);
  const streamReport = createStreamReport(metrics, options.accessLog);
  const zones = createZones({ own: options.zone, metrics, log });
  const proxy = createProxy({
    ...{ scheduling, origins, report, zones, cookieSecret, clock, random },
    compileAccess: (route) => compileAccess(route, access),
  });
  const tls = createListenerReport(metrics, log);
  const streams = createStreams({
    ...{ scheduling, report: streamReport, retries: report, clock, bind },
    openTls: ({ name }, settings) => createTlsContexts({ name, tls: settings, protocols: [], ...tls }),
  });
  const failing = metrics.gauge(
    "evenkeel_gateway_listeners_failing",
    "Listeners of the configuration that are not open, or not as configured; they are tried again",
    [],
    "max",
  );
  const listeners = createListeners({
    openers: {
      http: createHttpOpener({
        ...{ bind, handler: proxy.handle, onRefused: report.refused, onDropped: tls.onDropped },
        ...{ acceptProxyHeader, tls },
      }),
      tcp: streams.openTcp,
      tls: streams.openTcp,
      udp: streams.openUdp,
    },
    portOffset: options.portOffset,
    closeDeadlineMs: drainDeadlineMs,
    onFailing: (count) => failing.set(count),
  });
  /** Every listener of one configuration has been open. */
  let welcome = false;
  let state: "waiting" | "serving" | "draining" = "waiting";

  return {
    async configure(config) {
      scheduling.setPools(config.pools);
      for (const fault of origins.configure(config.pools))
        log.error({ reason: fault }, "pool not connected to");
      streams.configure(config, proxy.configure(config).rulesOf);
      keepServices(config, access);
      if (state === "draining") return [];
      const errors = await listeners.configure(config.listeners);
      if (state === "waiting") state = "serving";
      return errors;
    },
    listeners: listeners.open,
    notReady() {
      if (state === "waiting") return "no configuration yet";
      if (state === "draining") return "draining";
      if (listeners.open().length === 0) return listeners.failing()[0]?.message ?? "no listener is open";
      // Once it serves, a listener of a later configuration that cannot be opened is no reason to lose the others.
      welcome ||= listeners.failing().length === 0;
      return welcome ? null : (listeners.failing()[0]?.message ?? null);
    },
    async drain() {
      state = "draining";
      await listeners.close(options.drainGraceMs, drainDeadlineMs);
      origins.close();
      zones.close();
      access.close();
    },
  };
}
