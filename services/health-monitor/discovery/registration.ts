// Backends that registered themselves, as a source: one look at Redis each second for all pools, and at once when somebody
// is told to have come or gone.
import type { Registration } from "@evenkeel/core/config/resolve-discovery.ts";
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import type { Registrations } from "@evenkeel/ledger/registrations.ts";
import { type Entry, entryKey, nextRoll, type Reachable, type Roll } from "./roll.ts";
import { type RunningSource, realTimers, reasonOf, type SourceAnswer, type SourceStart } from "./source.ts";

const LOOK_EVERY_MS = 1_000;
/** Schedulers announce themselves each second: none for longer, and there was perhaps nobody to register with. */
const SILENCE_MAX_MS = 3_000;

export interface RegistrationDesk {
  watch(settings: Registration, start: SourceStart): RunningSource;
  /** Somebody registered, or left. */
  onRegistration(pool: string): void;
}

interface Watcher {
  settings: Registration;
  start: SourceStart;
}

/** @param schedulerAgoMs how long ago a scheduler was last heard of; null: none is there */
export function createRegistrationDesk(
  registrations: Pick<Registrations, "list">,
  schedulerAgoMs: () => Promise<number | null>,
  timers = realTimers,
): RegistrationDesk {
  const watchers = new Map<string, Watcher>();
  let roll: Roll = { entries: new Map(), lookedMs: 0 };
  /** From before this desk was there: how long ago they were renewed is not known. */
  let inherited: Omit<Entry, "renewedMs">[] = [];
  let told = new Set<string>();
  let looking = false;
  let again = false;
  let cancel = () => {};
  let reachable: Reachable | null = null;

  const noteReachable = (agoMs: number | null, nowMs: number) => {
    if (agoMs === null || agoMs > SILENCE_MAX_MS) reachable = null;
    else reachable = { sinceMs: reachable?.sinceMs ?? nowMs, untilMs: nowMs - agoMs };
  };

  const look = async () => {
    again = looking;
    if (looking) return;
    looking = true;
    do {
      again = false;
      cancel();
      const since = told;
      told = new Set();
      try {
        const [listing, agoMs] = await Promise.all([registrations.list(), schedulerAgoMs()]);
        noteReachable(agoMs, listing.nowMs);
        roll = nextRoll(withInherited(roll, inherited, listing.nowMs), { ...listing, reachable }, since);
        inherited = [];
        for (const watcher of watchers.values()) watcher.start.tell(answerFor(watcher, roll));
      } catch (error) {
        reachable = null;
        for (const pool of since) told.add(pool);
        for (const { start } of watchers.values()) start.tell({ ok: false, reason: reasonOf(error) });
      }
    } while (again && watchers.size > 0);
    looking = false;
    if (watchers.size > 0) cancel = timers.after(LOOK_EVERY_MS, () => void look());
  };

  return {
    watch(settings, start) {
      const watcher = { settings, start };
      watchers.set(start.pool, watcher);
      for (const backend of start.known)
        inherited.push({ pool: start.pool, backend, ttlMs: settings.ttlMs, lost: true });
      void look();
      return {
        stop() {
          if (watchers.get(start.pool) !== watcher) return;
          watchers.delete(start.pool);
          inherited = inherited.filter(({ pool }) => pool !== start.pool);
          roll = {
            ...roll,
            entries: new Map([...roll.entries].filter(([, { pool }]) => pool !== start.pool)),
          };
          if (watchers.size === 0) cancel();
        },
      };
    },
    onRegistration(pool) {
      if (!watchers.has(pool)) return;
      told.add(pool);
      void look();
    },
  };
}

/** Taken for renewed just now, so that each has one more TTL to be heard of. */
function withInherited(roll: Roll, inherited: readonly Omit<Entry, "renewedMs">[], nowMs: number): Roll {
  if (inherited.length === 0) return roll;
  const entries = new Map(roll.entries);
  for (const entry of inherited) {
    const key = entryKey(entry);
    if (!entries.has(key)) entries.set(key, { ...entry, renewedMs: nowMs });
  }
  return { ...roll, entries };
}

function answerFor({ settings, start }: Watcher, roll: Roll): SourceAnswer {
  const all: BackendDocument[] = [];
  for (const { pool, backend } of roll.entries.values()) if (pool === start.pool) all.push(backend);
  all.sort((a, b) => (a.id < b.id ? -1 : 1));
  const rejected = all.slice(settings.maxBackends).map(({ id }) => ({
    what: id,
    reason: `more than ${settings.maxBackends} backends are registered (maxBackends)`,
  }));
  return { ok: true, backends: all.slice(0, settings.maxBackends), rejected };
}
