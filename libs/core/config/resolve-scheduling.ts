// How a pool is scheduled, with every default filled in.
import { type Distances, type DistanceTable, distancesTo } from "./geography.ts";
import type { PoolDocument } from "./schema.ts";
import type { Policy } from "./schema-scheduling.ts";

export interface Criterion {
  name: string;
  weight: number;
  /** The value that counts as 1. */
  scale: number;
}

export interface HashKey {
  key: "address" | "header" | "cookie" | "path" | "query";
  /** Of the header (lower case), cookie or query parameter; empty otherwise. */
  name: string;
}

export interface Agent {
  path: string;
  /** Null: the backend's own. */
  port: number | null;
  metrics: string[];
  /** Of those asked for besides: the percent of its weight that the backend wants. */
  weight: string | null;
  /** Other than 0: it wants no new requests. */
  drain: string | null;
}

export interface Reports {
  header: string[];
  agent: Agent | null;
}

export interface Affinity {
  cookie: string;
  /** Null: until the browser is closed. */
  maxAgeS: number | null;
  secure: boolean;
}

export interface PoolScheduling {
  policy: Policy;
  panicPercent: number;
  slowStart: { windowMs: number; fromPercent: number };
  hash: HashKey;
  hashBound: number;
  /** In flight per unit of weight from which a backend has no room for requests of other zones, nor of its own. */
  spillAt: number;
  criteria: Criterion[];
  /** Empty unless the policy reckons with distance. */
  distances: Distances;
  reports: Reports;
  affinity: Affinity | null;
}

/** Whether it matters to the pool how far a backend is from where a request comes from. */
export const reckonsDistance = ({ policy, criteria }: Reckoning): boolean =>
  policy === "geo" ||
  (policy === "criteria" && (criteria ?? []).some((criterion) => criterion?.name === "distance"));

interface Reckoning {
  policy?: Policy | undefined;
  criteria?: readonly ({ name?: string | undefined } | undefined)[] | undefined;
}

/** @param table between all zones of the configuration */
export function resolveScheduling(pool: PoolDocument, table: DistanceTable): PoolScheduling {
  const criteria = pool.policy === "criteria" ? (pool.criteria ?? []) : [];
  const distances = reckonsDistance(pool) ? distancesTo(table, zonesOf(pool)) : {};
  return {
    policy: pool.policy ?? "least-connections",
    panicPercent: pool.panicPercent ?? 50,
    slowStart: {
      windowMs: pool.slowStart?.windowMs ?? 30_000,
      fromPercent: pool.slowStart?.fromPercent ?? 10,
    },
    hash: hashKey(pool),
    hashBound: pool.hash?.bound ?? 1.25,
    spillAt: pool.geo?.spillAt ?? 100,
    criteria: criteria.map(({ name, weight, scale }) => ({
      name,
      weight,
      scale: scale ?? defaultScale(name, pool, distances),
    })),
    distances,
    reports: { header: pool.reports?.header ?? [], agent: agent(pool) },
    affinity: affinity(pool),
  };
}

const zonesOf = ({ backends }: PoolDocument) => new Set(backends.flatMap(({ zone }) => zone ?? []));

function hashKey({ hash }: PoolDocument): HashKey {
  const key = hash?.key ?? "address";
  const name = hash?.name ?? "";
  return { key, name: key === "header" ? name.toLowerCase() : name };
}

function defaultScale(name: string, pool: PoolDocument, distances: Distances): number {
  switch (name) {
    case "connections":
      return 10;
    case "distance":
      return largest(Object.values(distances).flatMap((row) => Object.values(row)));
    case "cost":
      return largest(pool.backends.map(({ cost }) => cost ?? 0));
    default:
      return 1;
  }
}

/** 1 where nothing is larger than 0. */
const largest = (values: readonly number[]): number => Math.max(0, ...values) || 1;

const agent = ({ reports }: PoolDocument): Agent | null =>
  reports?.agent
    ? {
        path: reports.agent.path,
        port: reports.agent.port ?? null,
        metrics: reports.agent.metrics ?? [],
        weight: reports.agent.weight ?? null,
        drain: reports.agent.drain ?? null,
      }
    : null;

const affinity = ({ affinity: given }: PoolDocument): Affinity | null =>
  given
    ? {
        cookie: given.cookie ?? "evenkeel",
        maxAgeS: given.maxAgeS ?? null,
        secure: given.secure ?? false,
      }
    : null;
