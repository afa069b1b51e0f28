// What happens when things go wrong, or slow, with every default filled in.
import { type StatusRange, statusRanges } from "./resolve-health.ts";
import type { ConfigDocument, PoolDocument, RouteDocument } from "./schema.ts";

export interface RouteResilience {
  /** `requestMs` null: no bound. */
  timeouts: { responseHeadersMs: number; idleMs: number; tunnelIdleMs: number; requestMs: number | null };
  /** Attempts after the first. */
  retries: number;
  /** Answers that are asked for again elsewhere. */
  retryStatuses: StatusRange[];
  /** Of a request; Infinity: no bound. */
  maxBodyBytes: number;
}

/** For backends of https://. Files are read by whoever connects. */
export interface BackendTls {
  /** Null: the authorities that Node brings. */
  ca: string | null;
  /** Null: the host of the backend's url. */
  servername: string | null;
  verify: boolean;
  /** Both or neither. */
  cert: string | null;
  key: string | null;
  minVersion: "1.2" | "1.3";
}

export interface PoolUpstream {
  /** Null: none. */
  breaker: { failures: number; windowMs: number; openMs: number } | null;
  /** Null: no request is sent to two backends. */
  hedge: { budgetPercent: number } | null;
  connectTimeoutMs: number;
  idleConnectionMs: number;
  /** Requests and tunnels of one gateway to one backend at once. */
  maxConnections: number;
  http: "1.1" | "2";
  tls: BackendTls;
  sendProxyProtocol: "v1" | "v2" | null;
}

export type Protection = object;

export const resolveResilience = (route: RouteDocument): RouteResilience => ({
  timeouts: {
    responseHeadersMs: 30_000,
    idleMs: 60_000,
    tunnelIdleMs: 3_600_000,
    requestMs: null,
    ...route.timeouts,
  },
  retries: route.retries ?? 3,
  retryStatuses: statusRanges(route.retryStatuses ?? []),
  maxBodyBytes: route.maxBodyBytes ?? Number.POSITIVE_INFINITY,
});

export const resolveUpstream = (pool: PoolDocument): PoolUpstream => ({
  breaker: pool.breaker ? { failures: 5, windowMs: 10_000, openMs: 2_000, ...pool.breaker } : null,
  hedge: pool.hedge ? { budgetPercent: 5, ...pool.hedge } : null,
  connectTimeoutMs: pool.connectTimeoutMs ?? 2_000,
  idleConnectionMs: pool.idleConnectionMs ?? 4_000,
  maxConnections: pool.maxConnections ?? 10_240,
  http: pool.http ?? "1.1",
  tls: {
    ca: pool.tls?.ca ?? null,
    servername: pool.tls?.servername ?? null,
    verify: pool.tls?.verify ?? true,
    cert: pool.tls?.cert ?? null,
    key: pool.tls?.key ?? null,
    minVersion: pool.tls?.minVersion ?? "1.2",
  },
  sendProxyProtocol: pool.sendProxyProtocol ?? null,
});

export const resolveProtection = (_config: ConfigDocument): Protection => ({});
