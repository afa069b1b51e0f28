// What only the monitor that leads does: queue what is new, give up what has waited longest where too much waits, and
// queue dead letters that an operator wants sent again.
import type { DeadLetterStore } from "@evenkeel/ledger/dead-letters.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { NotificationMetrics } from "./metrics.ts";
import type { NotificationQueue } from "./queue.ts";
import type { Sender } from "./sender.ts";
import { keyOf, type Tailing, type Told } from "./tailing.ts";

/** Messages that wait; past it the oldest are given up. Some 5 MiB of Redis. */
export const WAITING_MAX = 5_000;
/** So many more may be queued until the oldest were given up; then events wait in the pools' logs. */
const EXCESS_MAX = 1_000;
/** Dead letters queued again in one pass. */
const AGAIN_AT_ONCE = 100;

export interface LeadingOptions {
  tailing: Tailing;
  sender: Pick<Sender, "giveUp">;
  deadLetters: Pick<DeadLetterStore, "retries" | "retried">;
  metrics: NotificationMetrics;
  log: Log;
  waitingMax: number;
}

export interface Duty {
  queue: NotificationQueue;
  told: Told;
  /** Of the configuration. */
  pools: ReadonlySet<string>;
  /** Those that changed; null: any of them may have. */
  changed: readonly string[] | null;
}

/** One pass. @throws when Redis does not answer; the next pass goes on from there */
export function createLeading(options: LeadingOptions): (duty: Duty) => Promise<void> {
  const { tailing, sender, deadLetters, metrics, log, waitingMax } = options;

  /** Answers how many more there is room for. */
  const giveUpOldest = async (from: NotificationQueue): Promise<number> => {
    const waiting = await from.waiting();
    metrics.waiting.set(waiting);
    const excess = Math.min(EXCESS_MAX, Math.max(0, waiting - waitingMax));
    const oldest = excess === 0 ? [] : await from.takeOldest(excess);
    await sender.giveUp(oldest, `more than ${waitingMax} wait`);
    return waitingMax + EXCESS_MAX - (waiting - oldest.length);
  };

  const sendAgain = async (to: NotificationQueue) => {
    const letters = await deadLetters.retries(AGAIN_AT_ONCE);
    if (letters.length === 0) return;
    await to.add(
      letters.map(({ id, webhook, event, messageId }) => {
        const message = { webhook, event, messageId };
        return { key: `${keyOf(message)}/again-${id}`, message };
      }),
    );
    await deadLetters.retried(letters);
    log.info({ letters: letters.length }, "dead letters are sent again");
  };

  return async ({ queue, told, pools, changed }) => {
    await tailing.pass(changed ?? pools, told, await giveUpOldest(queue));
    if (changed) return;
    await tailing.keep(pools);
    await sendAgain(queue);
  };
}
