// Waiting for events: until there are some, for a bounded time, by a bounded number of clients at once.
import { setTimeout as delay } from "node:timers/promises";
import { SchedulerError } from "../errors.ts";
import type { Cursor } from "./cursor.ts";
import type { EventPage, EventQuery, LogTail } from "./tail.ts";

/** Clients that wait at once; each looks at every pool when anything changes. */
export const FOLLOWERS_MAX = 32;
/** What happens within this time of an event is told with it, so that a storm is a few large answers. */
const GATHER_MS = 20;
/** Logs that could not be read are tried again. */
const UNREAD_RETRY_MS = 1_000;

export interface Followers {
  /**
   * @param cursor null: the newest, if there are any
   * @throws SchedulerError `overloaded` where too many wait, `redis_unavailable`
   */
  next(cursor: Cursor | null, query: EventQuery, waitMs: number, signal?: AbortSignal): Promise<EventPage>;
}

export function createFollowers(tail: LogTail): Followers {
  let following = 0;

  const follow = async (from: EventPage, query: EventQuery, waitMs: number, signal?: AbortSignal) => {
    const endMs = performance.now() + waitMs;
    let seen = tail.version;
    let page = from;
    while (page.events.length === 0 && !tail.ended && !signal?.aborted) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) break;
      if (!page.more) {
        await tail.wait(seen, page.unread.length > 0 ? Math.min(leftMs, UNREAD_RETRY_MS) : leftMs, signal);
        await delay(GATHER_MS);
      }
      seen = tail.version;
      page = await tail.read(page.cursor, query);
    }
    return page;
  };

  return {
    async next(cursor, query, waitMs, signal) {
      if (waitMs > 0 && following >= FOLLOWERS_MAX)
        throw new SchedulerError("overloaded", `${FOLLOWERS_MAX} clients follow the events already`);
      following += waitMs > 0 ? 1 : 0;
      try {
        const seen = tail.version;
        const page = cursor === null ? await tail.newest(query) : await tail.read(cursor, query);
        if (waitMs === 0 || page.events.length > 0) return page;
        // Something may have changed while it was read.
        return await follow(tail.version === seen ? page : { ...page, more: true }, query, waitMs, signal);
      } finally {
        following -= waitMs > 0 ? 1 : 0;
      }
    },
  };
}
