// Reads the logs of all pools for whoever asks for events: from a cursor on, or the newest.
import type { Ledger, LedgerEvent, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import type { ShownEvent } from "@evenkeel/core/wire/shown-event.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import { redisUnavailable } from "../errors.ts";
import { advanced, type Cursor, idOf, LAG_MAX_MS, type Place, placeOf, standing } from "./cursor.ts";
import { inTurns } from "./in-turns.ts";
import { createNewest, merge, type PoolRead } from "./merge.ts";
import { createPoolNames } from "./pool-names.ts";
import { createTips, type Tips } from "./tips.ts";

/** Entries asked for in one pass over all pools, about. */
const PASS_ENTRIES = 4_096;
const PAGE_MIN = 8;
/** Of one request: with a filter that nothing fits it would read whole logs; it is answered, and asks again. */
const PASSES_MAX = 8;
/** How far back the newest are looked for, one after the other; at last everywhere. */
const LOOK_BACK_MS = [LAG_MAX_MS, 7_200_000, Number.POSITIVE_INFINITY];
const NEWEST_PAGE = 250;

export interface EventQuery {
  /** Null: all. */
  pool: string | null;
  wanted(event: LedgerEvent): boolean;
  limit: number;
}

export interface EventPage {
  events: ShownEvent[];
  cursor: Cursor;
  more: boolean;
  unread: string[];
}

export interface LogTail {
  /** Rises with every change that is known of. */
  readonly version: number;
  readonly ended: boolean;
  /** Those of the applied configuration. */
  pools(): Promise<readonly string[]>;
  /** The oldest after the cursor. @throws SchedulerError `redis_unavailable` when no log at all could be read */
  read(cursor: Cursor, query: EventQuery): Promise<EventPage>;
  newest(query: EventQuery): Promise<EventPage>;
  /** Resolves when `version` is no longer `seen`, after `ms`, or at the end. */
  wait(seen: number, ms: number, signal?: AbortSignal): Promise<void>;
  /** There is something new in a pool's log. */
  changed(pool: string): void;
  /** Anything may have been missed. */
  gap(): void;
  /** Nobody is kept waiting any more. */
  end(): void;
}

export interface TailOptions {
  /** Over the connection for control traffic. */
  ledger: Pick<Ledger, "events">;
  configs: Pick<ConfigStore, "versions" | "read">;
  /** Milliseconds since the epoch; only to guess where the newest entries are. */
  clock?: () => number;
}

export function createLogTail({ ledger, configs, clock = Date.now }: TailOptions): LogTail {
  const events: Ledger["events"] = (...asked) => ledger.events(...asked);
  const pools = createPoolNames(configs);
  const waiting = new Set<() => void>();
  let version = 0;
  let ended = false;
  const wake = () => {
    version += 1;
    for (const resolve of waiting) resolve();
  };
  const tips = createTips(events, wake, clock);

  return {
    get version() {
      return version;
    },
    get ended() {
      return ended;
    },
    pools,
    changed: tips.changed,
    async read(cursor, query) {
      tips.use();
      const page: EventPage = { events: [], cursor, more: true, unread: [] };
      for (let pass = 0; pass < PASSES_MAX && page.more && page.events.length < query.limit; pass += 1) {
        const names = query.pool === null ? await pools() : [query.pool];
        const { reads, unread } = await readPass(names, page.cursor, query.limit, tips);
        const { events: next, places, more } = merge(reads, query.limit - page.events.length, query.wanted);
        page.events.push(...next);
        Object.assign(page, { cursor: advanced(page.cursor, places, unread), more, unread });
      }
      return page;
    },
    async newest(query) {
      tips.use();
      const names = query.pool === null ? await pools() : [query.pool];
      const nowMs = clock();
      for (const backMs of LOOK_BACK_MS) {
        const page = await readNewest(names, Math.max(0, nowMs - backMs), query, events);
        if (page.events.length >= query.limit || backMs >= nowMs) return page;
      }
      throw new Error("unreachable: the last look goes back for ever");
    },
    wait(seen, ms, signal) {
      if (version !== seen || ended || signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(deadline);
          waiting.delete(done);
          signal?.removeEventListener("abort", done);
          resolve();
        };
        const deadline = setTimeout(done, ms);
        waiting.add(done);
        signal?.addEventListener("abort", done, { once: true });
      });
    },
    gap() {
      tips.forget();
      wake();
    },
    end() {
      ended = true;
      tips.end();
      wake();
    },
  };
}

/** The oldest entries after a cursor, of all pools that may have some. */
async function readPass(names: readonly string[], cursor: Cursor, most: number, tips: Tips) {
  const due = names.filter((name) => tips.due(name, standing(cursor, name)));
  const page = Math.min(most, Math.max(PAGE_MIN, Math.ceil(PASS_ENTRIES / due.length)));
  const reads: PoolRead[] = [];
  const failures = new Map<string, Error>();
  await inTurns(due, async (name) => {
    const read = await tips.read(name, standing(cursor, name), page).catch((error: Error) => {
      failures.set(name, error);
      return null;
    });
    if (read) reads.push(read);
  });
  return { reads, unread: unreadOf(failures, reads.length) };
}

/** Whole logs from a time on, of which the newest are kept. */
async function readNewest(
  names: readonly string[],
  fromMs: number,
  { limit, wanted }: EventQuery,
  events: Ledger["events"],
): Promise<EventPage> {
  const base: Cursor = { baseMs: fromMs, listed: new Map() };
  const newest = createNewest(limit);
  const places = new Map<string, Place>();
  const failures = new Map<string, Error>();
  const readPool = async (pool: string) => {
    let some: LoggedEvent[];
    do {
      some = await events(pool, idOf(places.get(pool) ?? standing(base, pool)), NEWEST_PAGE);
      for (const one of some) {
        if (wanted(one.event)) newest.add(pool, one);
        places.set(pool, placeOf(one.id));
      }
    } while (some.length === NEWEST_PAGE);
  };
  await inTurns(names, (pool) => readPool(pool).catch((error: Error) => void failures.set(pool, error)));
  const unread = unreadOf(failures, names.length - failures.size);
  const unfinished = unread.filter((pool) => !places.has(pool));
  return { events: newest.events(), cursor: advanced(base, places, unfinished), more: false, unread };
}

/** @throws SchedulerError when nothing could be read of any pool */
function unreadOf(failures: ReadonlyMap<string, Error>, read: number): string[] {
  const [first] = failures.values();
  if (first && read === 0) throw redisUnavailable(first);
  return [...failures.keys()];
}
