// Follows the log of the pool and its counts, straight in Redis, through all that happens to it.
import { setTimeout as sleep } from "node:timers/promises";
import type { LedgerEvent, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import { poolKey } from "@evenkeel/ledger/keys.ts";
import { Redis } from "ioredis";
import { healthAfter, versionAfter } from "./check-log.ts";
import type { Followed, Life } from "./facts.ts";
import { POOL } from "./settings.ts";

const POLL_INTERVAL_MS = 100;
const COMMAND_TIMEOUT_MS = 500;
const RECONNECT_DELAY_MS = 50;
/** Entries per read. */
const AT_ONCE = 500;

export interface Watch {
  /** Of what comes from now on. */
  begin(): void;
  /** Redis has lost its data: to be called while it is down. */
  newLife(): void;
  lives(): Life[];
  /** Since it was started. */
  logged(): Followed["logged"];
  negative(): string[];
  /** Reads the log to its end. @throws when Redis cannot be reached */
  catchUp(): Promise<void>;
  close(): void;
}

export function startWatch(redisPort: number, prefix: string): Watch {
  const redis = new Redis(redisPort, "127.0.0.1", {
    ...{ commandTimeout: COMMAND_TIMEOUT_MS, enableOfflineQueue: false, maxRetriesPerRequest: 0 },
    retryStrategy: () => RECONNECT_DELAY_MS,
    maxLoadingRetryTime: RECONNECT_DELAY_MS, // by itself it would wait up to 10 s for a Redis that loads its data
  });
  redis.on("error", () => {}); // killed on purpose
  const log = poolKey(prefix, POOL, "events");
  const counts = poolKey(prefix, POOL, "inflight");
  const negative = new Set<string>();
  let lives: Life[] = [{ before: null, events: [], endedMs: null }];
  const logged: Followed["logged"] = [{ ids: [], lost: false }];
  let lastId: string | null = null;
  let closed = false;

  const current = () => lives.at(-1) as Life;

  const readOn = async (): Promise<void> => {
    for (;;) {
      const life = current();
      const from = lastId === null ? "-" : `(${lastId}`;
      const entries = await redis.xrange(log, from, "+", "COUNT", AT_ONCE);
      if (life !== current()) return; // of data that is lost by now
      for (const [id, fields] of entries) {
        life.events.push(loggedEvent(id, fields));
        logged.at(-1)?.ids.push(id);
      }
      lastId = entries.at(-1)?.[0] ?? lastId;
      if (entries.length < AT_ONCE) return;
    }
  };

  // One reader at a time, or entries would be noted twice.
  let reading: Promise<void> = Promise.resolve();
  const readLog = () => {
    reading = reading.then(readOn, readOn);
    return reading;
  };

  const readCounts = async (): Promise<void> => {
    const flat = await redis.zrange(counts, 0, "-1", "WITHSCORES");
    for (let i = 0; i < flat.length; i += 2)
      if (Number(flat[i + 1]) < 0) negative.add(`${flat[i]}: ${flat[i + 1]}`);
  };

  const follow = async () => {
    while (!closed) {
      await Promise.all([readLog(), readCounts()]).catch(() => {}); // Redis is away
      await sleep(POLL_INTERVAL_MS);
    }
  };
  void follow();
  return {
    begin() {
      const life = current();
      const before = { version: versionAfter(life), health: healthAfter(life) };
      const known = life.before !== null || life.events.length > 0;
      lives = [{ before: known ? before : null, events: [], endedMs: null }];
      negative.clear();
    },
    newLife() {
      current().endedMs = Date.now();
      lives.push({ before: null, events: [], endedMs: null });
      Object.assign(logged.at(-1) ?? {}, { lost: true });
      logged.push({ ids: [], lost: false });
      lastId = null;
    },
    lives: () => lives,
    logged: () => structuredClone(logged),
    negative: () => [...negative],
    catchUp: readLog,
    close() {
      closed = true;
      redis.disconnect();
    },
  };
}

function loggedEvent(id: string, fields: string[]): LoggedEvent {
  const at = fields.indexOf("e");
  return { id, event: JSON.parse(fields[at + 1] ?? "null") as LedgerEvent };
}
