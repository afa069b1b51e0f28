// The one place that spells a pool's Redis keys. All of a pool share the hash tag {pool}, hence one slot of a Redis
// Cluster. docs/redis.md says of each: type, writer, readers, invariant. The order is the order of KEYS in lua/header.lua.

export const POOL_KEYS = [
  "meta",
  "order",
  "inflight",
  "weight",
  "picked",
  "turns",
  "caps",
  "facts",
  "health",
  "strikes",
  "modes",
  "out",
  "ewma",
  "gateways",
  "seqs",
] as const;

export type PoolKey = (typeof POOL_KEYS)[number];

export const poolKey = (prefix: string, pool: string, key: PoolKey) => `${prefix}:{${pool}}:${key}`;

export const poolKeys = (prefix: string, pool: string) => POOL_KEYS.map((key) => poolKey(prefix, pool, key));

/** One hash per gateway: backend → how many it has in flight. The gateway's id follows. */
export const rowPrefix = (prefix: string, pool: string) => `${prefix}:{${pool}}:row:`;
