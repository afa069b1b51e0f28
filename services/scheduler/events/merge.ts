// Entries of several pools' logs, merged by time, as far as is known that nothing comes in between. Pure.
import type { LedgerEvent, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import type { ShownEvent } from "@evenkeel/core/wire/shown-event.ts";
import { compare, type Place, placeOf } from "./cursor.ts";

export interface PoolRead {
  pool: string;
  /** The oldest after its place. */
  entries: readonly LoggedEvent[];
  /** There may be more after these. */
  partial: boolean;
}

export interface Merged {
  events: ShownEvent[];
  /** Of each pool of which anything was given or passed over: behind the last of it. */
  places: Map<string, Place>;
  /** Something was left out. */
  more: boolean;
}

interface Entry {
  pool: string;
  place: Place;
  logged: LoggedEvent;
}

/** By time; those of one log in its order. */
const byTime = (a: Entry, b: Entry): number =>
  a.place.ms - b.place.ms || (a.pool < b.pool ? -1 : a.pool > b.pool ? 1 : compare(a.place, b.place));

/** At most `limit` of those that are wanted; the others are passed over. */
export function merge(
  reads: readonly PoolRead[],
  limit: number,
  wanted: (event: LedgerEvent) => boolean,
): Merged {
  const entries: Entry[] = [];
  /** What is later may come after something that was not read. */
  let horizonMs = Number.POSITIVE_INFINITY;
  for (const { pool, entries: logged, partial } of reads) {
    for (const one of logged) entries.push({ pool, place: placeOf(one.id), logged: one });
    const last = entries.at(-1);
    if (partial && logged.length > 0 && last) horizonMs = Math.min(horizonMs, last.place.ms);
  }
  entries.sort(byTime);
  const events: ShownEvent[] = [];
  const places = new Map<string, Place>();
  let passed = 0;
  for (const { pool, place, logged } of entries) {
    if (place.ms > horizonMs || events.length === limit) break;
    passed += 1;
    places.set(pool, place);
    if (wanted(logged.event)) events.push(shownEvent(pool, logged));
  }
  return { events, places, more: passed < entries.length || reads.some(({ partial }) => partial) };
}

export const shownEvent = (pool: string, { id, event }: LoggedEvent): ShownEvent => ({
  id: `${pool}/${id}`,
  pool,
  ...event,
});

/** Keeps the newest of what it is given, whatever the order. */
export function createNewest(most: number) {
  let kept: Entry[] = [];
  const cut = () => {
    kept = kept.sort(byTime).slice(-most);
  };
  return {
    add(pool: string, logged: LoggedEvent): void {
      kept.push({ pool, place: placeOf(logged.id), logged });
      if (kept.length > 4 * most) cut();
    },
    events(): ShownEvent[] {
      cut();
      return kept.map(({ pool, logged }) => shownEvent(pool, logged));
    },
  };
}
