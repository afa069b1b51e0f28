// How the work is cut: the backends of all pools that are probed fall into shards by a stable hash of their names, and
// one job leases one shard for one round. The number of shards is part of a shard's id, so a job can never mean one cut
// and be read as another.
import { fnv1a } from "@evenkeel/core/hash.ts";

/** How many backends a shard holds, on average, at most; unless there are more than `MAX_SHARDS` of them. */
export const SHARD_SIZE = 200;
/** Each is a job per round; as many as let a dozen monitors have about equal shares. */
export const MAX_SHARDS = 128;

/** A power of two, so that backends that come and go seldom cut everything anew. */
export function shardCount(backends: number): number {
  let count = 1;
  while (count < MAX_SHARDS && count * SHARD_SIZE < backends) count *= 2;
  return count;
}

/** Shard id → its members; empty shards are left out. @param keyOf unique in the cluster */
export function cutShards<T>(members: readonly T[], keyOf: (member: T) => string): Map<string, T[]> {
  const count = shardCount(members.length);
  return Map.groupBy(members, (member) => `${fnv1a(keyOf(member)) % count}-of-${count}`);
}
