// Which backends are in doubt, for all monitors: whoever has a backend's next lease must know that it is to be probed
// fast. A sorted set in Redis, backend → until when that holds unless it is said again. It is a hint: lost, it costs the
// time until the next regular probe.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

/** A doubt that was not renewed for so long is void. */
const LIFE_MS = 10_000;
/** It is renewed no more often. */
const RENEW_MS = 3_000;
/** Read at once, hence probed fast on another's word. */
const MAX_READ = 1_000;

export const doubtsKey = (prefix: string) => `${prefix}:doubtful`;

export interface Doubts {
  note(doubts: readonly { key: string; doubtful: boolean }[]): void;
  /** Whether it is in doubt, as last read. */
  has(key: string): boolean;
  /** Reads anew; answers all that are in doubt. Never rejects. */
  refresh(): Promise<ReadonlySet<string>>;
}

export function createDoubts(redis: Redis, prefix: string, log: Log): Doubts {
  const name = doubtsKey(prefix);
  /** Key → when it was noted here. */
  const noted = new Map<string, number>();
  let read = new Set<string>();
  const failed = (error: Error) => log.debug({ reason: error.message }, "doubts not shared");

  return {
    note(doubts) {
      const nowMs = Date.now();
      const raised = doubts.filter(
        ({ key, doubtful }) => doubtful && nowMs - (noted.get(key) ?? 0) > RENEW_MS,
      );
      const gone = doubts.filter(({ key, doubtful }) => !doubtful && (noted.has(key) || read.has(key)));
      for (const { key } of raised) noted.set(key, nowMs);
      for (const { key } of gone) {
        noted.delete(key);
        read.delete(key);
      }
      if (raised.length > 0)
        redis.zadd(name, ...raised.flatMap(({ key }) => [nowMs + LIFE_MS, key])).catch(failed);
      if (gone.length > 0) redis.zrem(name, ...gone.map(({ key }) => key)).catch(failed);
    },
    has: (key) => read.has(key),
    async refresh() {
      const nowMs = Date.now();
      for (const [key, notedMs] of noted) if (nowMs - notedMs > LIFE_MS) noted.delete(key);
      try {
        await redis.zremrangebyscore(name, 0, nowMs);
        read = new Set(await redis.zrange(name, nowMs, "+inf", "BYSCORE", "LIMIT", 0, MAX_READ));
      } catch (error) {
        failed(error as Error);
      }
      return read;
    },
  };
}
