// Somebody who follows the events through the admin API, as `evenkeel events --follow` does: from where the last answer
// ended, at whichever scheduler answers.
import { setTimeout as sleep } from "node:timers/promises";
import type { ShownEvents } from "@evenkeel/core/wire/shown-event.ts";
import { POOL } from "./settings.ts";

const WAIT_MS = 1_000;
/** Of one that is frozen. */
const ANSWER_TIMEOUT_MS = 2_500;
const RETRY_DELAY_MS = 50;

export interface Follower {
  /** Ids of the log's entries in the order in which they came, since the beginning. */
  seen(): string[];
  close(): void;
}

/** @param urls of the schedulers */
export function startFollower(urls: readonly string[]): Follower {
  const seen: string[] = [];
  const closing = new AbortController();
  let cursor: string | null = null;
  let turn = 0;

  const next = async (): Promise<void> => {
    const from: string = cursor === null ? "sinceMs=0" : `after=${encodeURIComponent(cursor)}`;
    const url = `${urls[turn % urls.length]}/v1/events?pool=${POOL}&waitMs=${WAIT_MS}&${from}`;
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const response = await fetch(url, { signal });
    if (response.status !== 200) throw new Error(`${response.status}`);
    const page = (await response.json()) as ShownEvents;
    cursor = page.cursor;
    for (const { id } of page.events) seen.push(id.slice(POOL.length + 1));
  };

  const follow = async () => {
    while (!closing.signal.aborted) {
      try {
        await next();
      } catch {
        turn += 1;
        await sleep(RETRY_DELAY_MS);
      }
    }
  };

  void follow();
  return { seen: () => [...seen], close: () => closing.abort() };
}
