// What an HTTP listener offers, with every default filled in.
import type { ListenerDocument } from "./schema.ts";
import type { TlsDocument } from "./schema-listeners.ts";

/** What one client may take of a listener. */
export interface HttpLimits {
  /** Request line and header section; past it 431. */
  headerBytes: number;
  /** Fields of a header section; past it 431. */
  headers: number;
  /** For the whole header section, counted from its first byte; past it 408. */
  headersTimeoutMs: number;
  /** A connection without a request is closed after this. */
  keepAliveMs: number;
  /** Longest silence of a client that is to send the rest of a body, or to read an answer. */
  clientIdleMs: number;
  /** Open connections of the listener; more are closed at once. */
  connections: number;
  /** Open connections of one client address; null: not bounded. */
  connectionsPerAddress: number | null;
  /** HTTP/2: requests of one connection at once. */
  streams: number;
}

/** Files of one certificate. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

export interface ListenerTls {
  /** The first is the default; at least one. */
  certificates: CertificateFiles[];
  minVersion: "1.2" | "1.3";
  /** Whose certificates of clients are believed; null exactly where none is asked for. */
  clientCa: string | null;
  clientAuth: "none" | "request" | "require";
}

export interface ListenerHttp {
  limits: HttpLimits;
  http2: boolean;
  /** Null: plain text, or passed through unread. */
  tls: ListenerTls | null;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  headerBytes: 16 * 1024,
  headers: 100,
  headersTimeoutMs: 10_000,
  keepAliveMs: 75_000,
  clientIdleMs: 30_000,
  connections: 50_000,
  connectionsPerAddress: null,
  streams: 100,
};

export const resolveListenerHttp = ({ tls, http2, limits }: ListenerDocument): ListenerHttp => ({
  limits: { ...DEFAULT_HTTP_LIMITS, ...limits },
  http2: http2 ?? true,
  tls: tls ? resolveTls(tls) : null,
});

const resolveTls = ({ certificates, minVersion, clientCa, clientAuth }: TlsDocument): ListenerTls => ({
  certificates,
  minVersion: minVersion ?? "1.2",
  clientCa: clientCa ?? null,
  clientAuth: clientAuth ?? (clientCa === undefined ? "none" : "require"),
});
