// What is told about connections and sessions below HTTP: metrics with bounded labels, and one log line each when
// asked for.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { CounterChild, Metrics } from "@evenkeel/runtime/metrics.ts";

/** How a connection or session came to its end. */
export const RESULTS = [
  /** By both sides in order; of a session: by silence, or with the last answer that was expected. */
  "ended",
  "client-reset",
  "backend-reset",
  /** Cut off: silent for too long. */
  "idle",
  /** Cut off: the listener is closed and the deadline has passed. */
  "cut",
  /** udp: it made room for a newer one. */
  "evicted",
  /** Before a backend was connected to. */
  "client-gone",
  "no-backend",
  "backend-refused",
  "gateway-exhausted",
  "listener-full",
  "address-full",
  "proxy-header",
  "client-hello",
  "tls",
  "no-route",
  "denied",
] as const;
export type StreamResult = (typeof RESULTS)[number];

export const DROPS = [
  "no-route",
  "denied",
  "no-backend",
  /** The address holds as many sessions as it may. */
  "address-full",
  /** More came before the backend was picked than is kept. */
  "waiting",
  /** The system takes datagrams more slowly than they come. */
  "send-queue",
  /** The system refused to send it. */
  "send-error",
  /** This process cannot open another socket. */
  "gateway-exhausted",
  /** The listener is closing, and takes no new sessions. */
  "closing",
] as const;
export type Drop = (typeof DROPS)[number];

export interface StreamFinished {
  listener: string;
  /** Address. */
  client: string;
  route: string | null;
  pool: string | null;
  /** The last one tried. */
  backend: string | null;
  /** From the client; payload only. */
  bytesIn: number;
  bytesOut: number;
  durationMs: number;
  /** Of the connection to the backend, or to the first answer of a session; null: there was none. */
  connectMs: number | null;
  attempts: number;
  result: StreamResult;
  /** What the system says of it, or what was wrong; empty: nothing. */
  reason: string;
}

/** What is counted while connections are open, by whoever moves the bytes. */
export interface ListenerSeries {
  bytesIn: CounterChild;
  bytesOut: CounterChild;
}

export interface StreamReport {
  series(listener: string): ListenerSeries;
  /** A connection or session that came to an end, or was refused. */
  finished(stream: StreamFinished): void;
  dropped(listener: string, reason: Drop): void;
  /** Connections accepted, or sessions, that are open now. */
  open(listener: string, protocol: "tcp" | "udp", count: number): void;
  /** Listeners of a new configuration: series of those that are gone are dropped. */
  keep(listeners: ReadonlySet<string>): void;
}

const DIRECTIONS = ["in", "out"] as const;

/** @param accessLog null: no line per connection */
export function createStreamReport(metrics: Metrics, accessLog: Log | null): StreamReport {
  const streams = metrics.counterFamily(
    "evenkeel_gateway_streams_total",
    "Connections of tcp and tls listeners and sessions of udp listeners, by how they ended",
  );
  const bytes = metrics.counterFamily(
    "evenkeel_gateway_stream_bytes_total",
    "Payload of tcp, tls and udp listeners; in: from clients, out: to clients",
  );
  const drops = metrics.counterFamily(
    "evenkeel_gateway_datagrams_dropped_total",
    "Datagrams of udp listeners that were not passed on",
  );
  const open = {
    tcp: metrics.gauge("evenkeel_gateway_streams", "Connections of tcp and tls listeners open now", [
      "listener",
    ]),
    udp: metrics.gauge("evenkeel_gateway_udp_sessions", "Sessions of udp listeners now", ["listener"]),
  };
  let kept: ReadonlySet<string> = new Set();

  return {
    series: (listener) => ({
      bytesIn: bytes.child({ listener, direction: "in" }),
      bytesOut: bytes.child({ listener, direction: "out" }),
    }),
    finished(stream) {
      streams.child({ listener: stream.listener, result: stream.result }).value += 1;
      accessLog?.info(lineOf(stream), "stream");
    },
    dropped(listener, reason) {
      drops.child({ listener, reason }).value += 1;
    },
    open: (listener, protocol, count) => open[protocol].set({ listener }, count),
    keep(listeners) {
      for (const listener of kept.difference(listeners)) {
        for (const result of RESULTS) streams.remove({ listener, result });
        for (const reason of DROPS) drops.remove({ listener, reason });
        for (const direction of DIRECTIONS) bytes.remove({ listener, direction });
        for (const gauge of Object.values(open)) gauge.remove({ listener });
      }
      kept = listeners;
    },
  };
}

const lineOf = (stream: StreamFinished): StreamFinished => ({
  ...stream,
  durationMs: toMicroseconds(stream.durationMs),
  connectMs: stream.connectMs === null ? null : toMicroseconds(stream.connectMs),
});

/** Still ms; finer digits are noise. */
const toMicroseconds = (ms: number): number => Math.round(ms * 1_000) / 1_000;
