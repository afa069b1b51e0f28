// When the cluster last swept, whichever monitor did: a key that every completed sweep renews. Its age is told from
// the life it has left, hence by Redis's clock alone.
import type { Redis } from "@evenkeel/runtime/redis.ts";

/** Longer than any standstill that is waited for. */
const LIFE_MS = 24 * 3_600_000;

/** In the slot of the queue. */
export const lastSweepKey = (prefix: string) => `{${prefix}}:last-sweep`;

/** @param monitor who swept, for whoever looks into Redis */
export async function noteSweep(redis: Redis, prefix: string, monitor: string): Promise<void> {
  await redis.set(lastSweepKey(prefix), monitor, "PX", LIFE_MS);
}

/** Null when there was none. @throws when Redis does not answer */
export async function sweptAgoMs(redis: Redis, prefix: string): Promise<number | null> {
  const leftMs = await redis.pttl(lastSweepKey(prefix));
  return leftMs < 0 ? null : LIFE_MS - leftMs;
}
