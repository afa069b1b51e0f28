// What the leading monitor does for notifications: reads the pools' logs on from where the cluster has got, and queues a
// message per event and webhook. The place in a log is moved on only after that, so a monitor that dies in between has
// its successor queue the same again, which changes nothing: a message's key follows from its event.
import type { Notification } from "@evenkeel/core/config/resolve-discovery.ts";
import { LIMITS } from "@evenkeel/core/config/schema.ts";
import type { Ledger, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import { notifiedKey } from "@evenkeel/runtime/keys.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { concerns, type Message, messageOf } from "./message.ts";
import type { NotificationMetrics } from "./metrics.ts";
import type { NotificationQueue } from "./queue.ts";

/** Entries read at a time. */
const PAGE = 100;
/** Logs read at the same time. */
const READ_AT_ONCE = 16;
/** Monitors may have been away: nobody wants to be woken for what was this long ago. */
const EVENT_AGE_MAX_MS = 3_600_000;

export interface TailingOptions {
  redis: Redis;
  prefix: string;
  ledger: Pick<Ledger, "events">;
  queue: () => Pick<NotificationQueue, "add"> | null;
  metrics: NotificationMetrics;
  log: Log;
  /** Milliseconds since the epoch. */
  clock: () => number;
}

export interface Told {
  webhooks: readonly Notification[];
  /** When they were configured, ms since the epoch: a pool that is seen for the first time begins there, nobody is told of history. */
  sinceMs: number;
}

export interface Tailing {
  /**
   * Reads the logs of these pools on. @throws when Redis does not answer; the next pass goes on from there
   * @param room for so many messages, about; what finds none waits in the logs
   */
  pass(pools: Iterable<string>, told: Told, room: number): Promise<void>;
  /** Of pools that are gone nothing is kept; no webhooks: of none. */
  keep(pools: ReadonlySet<string>): Promise<void>;
  /** Another monitor leads: what is known may be old. */
  forget(): void;
}

export const keyOf = ({ webhook, event }: Message): string => `${webhook}/${event.id}`;

export function createTailing(options: TailingOptions): Tailing {
  const { redis, prefix, ledger, queue, metrics, clock } = options;
  const key = notifiedKey(prefix);
  /** Pool → the last entry that was queued; at most one per pool of the configuration. */
  let places: Map<string, string> | null = null;

  const known = async (): Promise<Map<string, string>> => {
    places ??= new Map(Object.entries(await redis.hgetall(key)));
    return places;
  };
  const moveOn = async (pool: string, id: string) => {
    await redis.hset(key, pool, id);
    places?.set(pool, id);
  };

  const messagesOf = (pool: string, page: readonly LoggedEvent[], webhooks: readonly Notification[]) =>
    page.flatMap((logged) =>
      webhooks.flatMap((webhook) => {
        if (!concerns(webhook, pool, logged.event.type)) return [];
        if (clock() - logged.event.atMs > EVENT_AGE_MAX_MS) {
          metrics.skipped.inc({ webhook: webhook.name });
          return [];
        }
        const message = messageOf(webhook.name, pool, logged);
        return [{ key: keyOf(message), message }];
      }),
    );

  const readOn = async (pool: string, { webhooks, sinceMs }: Told, room: { left: number }) => {
    while (room.left > 0) {
      const place = (await known()).get(pool) ?? `${Math.min(sinceMs, clock())}-0`;
      const page = await ledger.events(pool, place, PAGE);
      const last = page.at(-1);
      if (!last) return places?.has(pool) ? undefined : moveOn(pool, place);
      const messages = messagesOf(pool, page, webhooks);
      const to = queue();
      if (messages.length > 0) {
        if (!to) return; // being opened or closed
        room.left -= messages.length;
        await to.add(messages);
      }
      await moveOn(pool, last.id);
      if (page.length < PAGE) return;
    }
  };

  return {
    async pass(pools, told, most) {
      await known();
      const room = { left: most };
      const left = [...pools].slice(0, LIMITS.pools).values();
      const failures: Error[] = [];
      const worker = async () => {
        for (const pool of left) await readOn(pool, told, room).catch((error: Error) => failures.push(error));
      };
      await Promise.all(Array.from({ length: READ_AT_ONCE }, worker));
      if (failures[0]) throw failures[0];
    },
    async keep(pools) {
      const gone = [...(await known()).keys()].filter((pool) => !pools.has(pool));
      if (gone.length === 0) return;
      await redis.hdel(key, ...gone);
      for (const pool of gone) places?.delete(pool);
    },
    forget() {
      places = null;
    },
  };
}
