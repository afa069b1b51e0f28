// When the cluster last probed, whichever monitor did: a key that every round renews. Its age is told from the life it
// has left, hence by Redis's clock alone.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

/** Longer than any standstill that is waited for. */
const LIFE_MS = 24 * 3_600_000;
/** A monitor notes it no more often: its rounds begin together. */
const NOTE_INTERVAL_MS = 500;

/** In the slot of the queue. */
export const lastSweepKey = (prefix: string) => `{${prefix}}:last-sweep`;

/** Answers what to call with every round. @param monitor who took it, for whoever looks into Redis */
export function keepNoting(redis: Redis, prefix: string, monitor: string, log: Log): () => void {
  let notedMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - notedMs < NOTE_INTERVAL_MS) return;
    notedMs = nowMs;
    redis
      .set(lastSweepKey(prefix), monitor, "PX", LIFE_MS)
      .catch((error) => log.debug({ reason: error.message }, "round not noted"));
  };
}

/** Null when there was none. @throws when Redis does not answer */
export async function sweptAgoMs(redis: Redis, prefix: string): Promise<number | null> {
  const leftMs = await redis.pttl(lastSweepKey(prefix));
  return leftMs < 0 ? null : LIFE_MS - leftMs;
}
