// Where the pools' logs end, as far as a scheduler knows. It only saves reading: the event bus says which pool has
// something new since; a poll makes that certain, once for all who follow, and only while somebody does.
import { LIMITS } from "@evenkeel/core/config/schema.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { compare, idOf, type Place, placeOf } from "./cursor.ts";
import { inTurns } from "./in-turns.ts";
import type { PoolRead } from "./merge.ts";

/** Finds what the event bus lost. */
const POLL_INTERVAL_MS = 2_000;
/** Nobody asked for so long: nothing is remembered, and not polled for. */
const IDLE_MS = 60_000;

export interface Tips {
  /** Somebody follows: keep them up to date for a while. */
  use(): void;
  /** Whether there may be anything after that place. */
  due(pool: string, place: Place): boolean;
  /** The oldest after that place, at most so many. @throws when Redis does not answer */
  read(pool: string, place: Place, most: number): Promise<PoolRead>;
  changed(pool: string): void;
  forget(): void;
  end(): void;
}

/** @param onChange a log has grown, as far as is known @param clock milliseconds */
export function createTips(events: Ledger["events"], onChange: () => void, clock: () => number): Tips {
  /** Pool → behind which entry there was nothing. */
  const tips = new Map<string, Place>();
  /** Pools that changed since they were read → how often. */
  const changes = new Map<string, number>();
  let usedAtMs = 0;
  let polling = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const forget = () => {
    tips.clear();
    changes.clear();
  };
  const rest = () => {
    clearInterval(timer);
    timer = undefined;
    forget();
  };
  const changed = (pool: string) => {
    if (!timer) return; // nothing is remembered that could be wrong
    if (changes.size >= LIMITS.pools) forget(); // told by somebody who knows other pools
    changes.set(pool, (changes.get(pool) ?? 0) + 1);
    onChange();
  };
  const look = async ([pool, tip]: [string, Place]) => {
    const grown = await events(pool, idOf(tip), 1).then(
      (some) => some.length > 0,
      () => tips.delete(pool),
    );
    if (grown) changed(pool);
  };
  const poll = async () => {
    if (polling) return;
    if (clock() - usedAtMs > IDLE_MS) return rest();
    polling = true;
    await inTurns([...tips], look);
    polling = false;
  };

  return {
    use() {
      usedAtMs = clock();
      if (!ended) timer ??= setInterval(poll, POLL_INTERVAL_MS).unref();
    },
    due(pool, place) {
      const tip = tips.get(pool);
      return !tip || changes.has(pool) || compare(tip, place) > 0;
    },
    async read(pool, place, most) {
      const before = changes.get(pool);
      const entries = await events(pool, idOf(place), most);
      const partial = entries.length === most;
      const last = entries.at(-1);
      // A client may stand anywhere: that there is nothing after a time to come says nothing of where the log ends.
      if (!partial && timer && (last || place.ms <= clock())) {
        const tip = last ? placeOf(last.id) : place;
        const known = tips.get(pool);
        if (!known || compare(tip, known) > 0) tips.set(pool, tip); // else an earlier read came back late
        if (changes.get(pool) === before) changes.delete(pool);
      }
      return { pool, entries, partial };
    },
    changed,
    forget,
    end() {
      ended = true;
      rest();
    },
  };
}
