// Connections to backends: one keep-alive pool per origin, made when the first request needs it and closed, after
// its requests have ended, when the configuration no longer names the origin.
import type { Pool as BackendPool } from "@evenkeel/core/config/resolve.ts";
import { type Dispatcher, Pool } from "undici";

/** Most requests at once from this gateway to one origin; each takes one connection. More are never queued. */
export const MAX_CONNECTIONS_PER_ORIGIN = 1_024;
/** Below the shortest common idle timeout of servers (5 s), so that they rarely close while we send. */
const IDLE_MS = 4_000;
/** Longest idle time a backend's Keep-Alive hint can ask for, and how much earlier than the hint we close. */
const IDLE_MAX_MS = 600_000;
const IDLE_MARGIN_MS = 2_000;
/** For an origin picked just before a new configuration dropped it. */
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000;
/** Largest response header section. */
const MAX_HEADER_BYTES = 64 * 1024;

export interface Origin {
  /** The name to connect by; without it undici would take the client's Host for it. */
  readonly hostname: string;
  /** Takes one of the bounded places; false when all are taken. Give it back with `leave`. */
  enter(): boolean;
  leave(): void;
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void;
}

export interface Origins {
  get(url: string): Origin;
  /** The pools of a new configuration. Origins that stay as they are keep their connections. */
  configure(pools: readonly BackendPool[]): void;
  close(): void;
}

interface Entry {
  origin: Origin;
  connectTimeoutMs: number;
  close(): void;
}

export function createOrigins(): Origins {
  const entries = new Map<string, Entry>();
  let connectTimeouts = new Map<string, number>();

  const drop = (url: string, entry: Entry) => {
    entries.delete(url);
    entry.close();
  };

  return {
    get(url) {
      const known = entries.get(url);
      if (known) return known.origin;
      const entry = openOrigin(url, connectTimeouts.get(url) ?? DEFAULT_CONNECT_TIMEOUT_MS);
      entries.set(url, entry);
      return entry.origin;
    },
    configure(pools) {
      connectTimeouts = shortestConnectTimeouts(pools);
      for (const [url, entry] of entries) {
        if (connectTimeouts.get(url) !== entry.connectTimeoutMs) drop(url, entry);
      }
    },
    close() {
      for (const [url, entry] of entries) drop(url, entry);
    },
  };
}

/** An origin that stands in several pools gets the shortest of their timeouts. */
function shortestConnectTimeouts(pools: readonly BackendPool[]): Map<string, number> {
  const timeouts = new Map<string, number>();
  for (const { backends, connectTimeoutMs } of pools) {
    for (const { url } of backends) {
      timeouts.set(url, Math.min(connectTimeoutMs, timeouts.get(url) ?? connectTimeoutMs));
    }
  }
  return timeouts;
}

function openOrigin(url: string, connectTimeoutMs: number): Entry {
  const pool = new Pool(url, {
    allowH2: false,
    pipelining: 1,
    connections: MAX_CONNECTIONS_PER_ORIGIN,
    connectTimeout: connectTimeoutMs,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MAX_MS,
    keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  let taken = 0;
  const origin: Origin = {
    hostname: new URL(url).hostname.replace(/^\[(.*)\]$/, "$1"),
    enter() {
      if (taken >= MAX_CONNECTIONS_PER_ORIGIN) return false;
      taken += 1;
      return true;
    },
    leave() {
      taken -= 1;
    },
    dispatch(options, handler) {
      pool.dispatch(options, handler);
    },
  };
  // Requests under way end as usual; what close() could still report has already reached their handlers.
  return { origin, connectTimeoutMs, close: () => void pool.close().catch(() => {}) };
}
