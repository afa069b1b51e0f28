// How a pool's backends are judged, with every default filled in.
import type { Health } from "../health/state.ts";
import type { PoolDocument } from "./schema.ts";

/** From – to, both included. */
export type StatusRange = readonly [from: number, to: number];

interface ProbingBasis {
  /** Null: the backend's own. */
  port: number | null;
  intervalMs: number;
  /** While a backend's health is in doubt. */
  fastIntervalMs: number;
  timeoutMs: number;
  jitterPercent: number;
}

export interface HttpProbing extends ProbingBasis {
  protocol: "http";
  method: "GET" | "HEAD" | "OPTIONS";
  path: string;
  /** Null: of the url. */
  host: string | null;
  headers: Record<string, string>;
  expectStatus: StatusRange[];
  expectBody: string | null;
  /** Null: the pool's, else the url's host. */
  servername: string | null;
}

export interface TcpProbing extends ProbingBasis {
  protocol: "tcp";
  send: string | null;
  expect: string | null;
}

export interface GrpcProbing extends ProbingBasis {
  protocol: "grpc";
  service: string;
  host: string | null;
  servername: string | null;
}

/** How a pool is probed. */
export type Probing = HttpProbing | TcpProbing | GrpcProbing;

/** When requests take a backend out. */
export interface Ejection {
  /** In a row. */
  failures: number;
  /** 0: no such rule. */
  failurePercent: number;
  windowMs: number;
  minRequests: number;
  maxPercent: number;
  maxMs: number;
  /** Answers that are failures. */
  statuses: StatusRange[];
}

export interface PoolHealth {
  /** Null where it has no active probes. */
  probing: Probing | null;
  rise: number;
  fall: number;
  /** Of a new backend. */
  initial: Health;
  ejectMs: number;
  eject: Ejection;
}

const FAST_INTERVAL_MIN_MS = 100;

export function resolveHealth(pool: PoolDocument): PoolHealth {
  const { health, eject } = pool;
  const fall = health?.fall ?? 3;
  const ejectMs = pool.ejectMs ?? 10_000;
  return {
    probing: health ? probingOf(health) : null,
    rise: health?.rise ?? 2,
    fall,
    initial: health?.initial ?? "healthy",
    ejectMs,
    eject: {
      failures: eject?.failures ?? fall,
      failurePercent: eject?.failurePercent ?? 50,
      windowMs: eject?.windowMs ?? 10_000,
      minRequests: eject?.minRequests ?? 20,
      maxPercent: eject?.maxPercent ?? 100,
      maxMs: Math.max(eject?.maxMs ?? 300_000, ejectMs),
      statuses: statusRanges(eject?.statuses ?? ["502-504"]),
    },
  };
}

type HealthDocument = NonNullable<PoolDocument["health"]>;

function probingOf(health: HealthDocument): Probing {
  const { protocol, intervalMs = 2_000, timeoutMs = 1_000, host = null, servername = null } = health;
  const basis = {
    port: health.port ?? null,
    intervalMs,
    fastIntervalMs: health.fastIntervalMs ?? Math.min(intervalMs, Math.max(timeoutMs, FAST_INTERVAL_MIN_MS)),
    timeoutMs,
    jitterPercent: health.jitterPercent ?? 5,
  };
  switch (protocol) {
    case "tcp":
      return { protocol, ...basis, send: health.send ?? null, expect: health.expect ?? null };
    case "grpc":
      return { protocol, ...basis, service: health.service ?? "", host, servername };
    case "http":
      return {
        ...{ protocol, ...basis, host, servername },
        method: health.method ?? "GET",
        path: health.path ?? "/",
        headers: health.headers ?? {},
        expectStatus: statusRanges(health.expectStatus ?? ["200-399"]),
        expectBody: health.expectBody ?? null,
      };
  }
}

export const statusRanges = (texts: readonly string[]): StatusRange[] =>
  texts.map((text) => {
    const [from, to = from] = text.split("-").map(Number) as [number, number?];
    return [from, to];
  });

export const statusIn = (ranges: readonly StatusRange[], status: number): boolean =>
  ranges.some(([from, to]) => status >= from && status <= to);
