// What listeners offer below HTTP, with every default filled in.
import type { ListenerDocument } from "./schema.ts";
import { STREAM_DEFAULTS } from "./schema-streams.ts";

export interface ProxyProtocol {
  /** CIDRs. Their connections begin with a header; those of others do not. */
  trusted: string[];
  /** For the whole header. */
  timeoutMs: number;
}

/** Bounds of connections on tcp and tls listeners. */
export interface StreamLimits {
  /** Silence in both directions. */
  idleMs: number;
  maxConnections: number;
  /** Null: not bounded. */
  maxConnectionsPerAddress: number | null;
  /** For the whole ClientHello on a tls listener. */
  helloTimeoutMs: number;
}

/** Bounds of sessions on udp listeners. */
export interface DatagramLimits {
  /** Silence in both directions. */
  idleMs: number;
  maxSessions: number;
  /** Null: not bounded. */
  maxSessionsPerAddress: number | null;
  /** Answers to each datagram of a client, after which the session ends; null: only silence ends it. */
  responses: number | null;
}

export interface ListenerStreams {
  /** Null: nobody is believed. */
  proxyProtocol: ProxyProtocol | null;
  streams: StreamLimits;
  datagrams: DatagramLimits;
}

export const resolveListenerStreams = (listener: ListenerDocument): ListenerStreams => ({
  proxyProtocol: listener.proxyProtocol
    ? { ...STREAM_DEFAULTS.proxyProtocol, ...listener.proxyProtocol }
    : null,
  streams: { ...STREAM_DEFAULTS.streams, maxConnectionsPerAddress: null, ...listener.streams },
  datagrams: {
    ...STREAM_DEFAULTS.datagrams,
    maxSessionsPerAddress: null,
    responses: null,
    ...listener.datagrams,
  },
});
