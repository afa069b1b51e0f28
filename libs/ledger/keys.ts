// The one place that spells a pool's Redis keys. All of a pool begin alike and share the hash tag {pool}, hence one slot
// of a Redis Cluster: the functions are given `meta` and make the other names from it (lua/pool.lua). docs/redis.md says
// of each: type, content, invariant.

/** Besides these there are `order:<zone>` and `row:<gateway>`. */
export type PoolKey =
  | "meta"
  | "order"
  | "inflight"
  | "weight"
  | "draws"
  | "facts"
  | "health"
  | "out"
  | "picked"
  | "turns"
  | "joined"
  | "full"
  | "learned"
  | "judged"
  | "metrics"
  | "gateways"
  | "seqs"
  | "window"
  | "probed"
  | "wished"
  | "events";

/**
 * What every call names as its keys: one that a pool always has, and one that it never has. So a Redis Cluster that is
 * moving the slot refuses the call on both ends (TRYAGAIN), instead of letting it see the half of the pool that is there.
 */
export const callKeys = (prefix: string, pool: string): [string, string] => [
  poolKey(prefix, pool, "meta"),
  `${prefix}:{${pool}}:never`,
];

export const poolKey = (prefix: string, pool: string, key: PoolKey) => `${prefix}:{${pool}}:${key}`;

/** The order of the backends of one zone, where the policy reckons with distance; of those without a zone: `order`. */
export const orderKey = (prefix: string, pool: string, zone: string) =>
  `${poolKey(prefix, pool, "order")}:${zone}`;
