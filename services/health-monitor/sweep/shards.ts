// How the work is cut: a pool's backends fall into shards by a stable hash of their ids, and one job sweeps one
// shard. The number of shards is part of a shard's id, so a job can never mean one cut and be read as another.
import type { Backend, Pool, Probing } from "@evenkeel/core/config/resolve.ts";
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import type { Reports } from "@evenkeel/core/config/resolve-scheduling.ts";
import { fnv1a } from "@evenkeel/core/hash.ts";

/** How many backends a sweep probes, on average, at most. */
export const SHARD_SIZE = 100;
/** A cluster that did not sweep for this many intervals, and at least for the floor, stands still. */
const STANDSTILL_INTERVALS = 3;
const STANDSTILL_FLOOR_MS = 5_000;

export interface Shard {
  id: string;
  pool: string;
  probing: Probing;
  /** Asked beside each probe; null where the pool has none. */
  agent: Reports["agent"];
  /** For those of https://. */
  tls: BackendTls;
  backends: Backend[];
}

/** None for a pool without probing. Every backend is in exactly one; empty shards are left out. */
export function shardsOf(pool: Pool): Shard[] {
  const { name, probing, reports, backends, tls } = pool;
  if (!probing) return [];
  const count = Math.ceil(backends.length / SHARD_SIZE);
  const groups = Map.groupBy(backends, (backend) => fnv1a(backend.id) % count);
  return [...groups].map(([index, members]) => ({
    id: `${name}/${index}-of-${count}`,
    pool: name,
    probing,
    agent: reports.agent,
    tls,
    backends: members,
  }));
}

/** How long after a sweep of this shard the next one must be complete, ms. A sweep may take a probe's timeout. */
export const standstillMs = ({ probing }: Shard): number =>
  Math.max(STANDSTILL_INTERVALS * probing.intervalMs, STANDSTILL_FLOOR_MS) + probing.timeoutMs;

/** Null for no shards. */
export function shortestStandstillMs(shards: Iterable<Shard>): number | null {
  let shortest: number | null = null;
  for (const shard of shards) shortest = Math.min(shortest ?? Number.POSITIVE_INFINITY, standstillMs(shard));
  return shortest;
}
