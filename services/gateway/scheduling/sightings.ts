// How long after it happened this gateway knows that the health of a backend has changed, and from whom: the event, or a
// read that found it out.
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { Snapshot } from "./snapshot.ts";

export type SeenBy = "event" | "read";

/** Told of each change that is news here. @param atMs when it happened, ms since the epoch */
export type OnSeen = (by: SeenBy, atMs: number) => void;

/** Before the event is taken over. */
export function noteEvent(
  snapshot: Snapshot,
  { atMs, changes = [] }: Event & { type: "pool" },
  seen: OnSeen,
) {
  for (const { backend, health } of changes) {
    const known = snapshot.health(backend);
    if (known !== undefined && known !== health) seen("event", atMs);
  }
}

/**
 * Before the state is taken over. The first one is no news: nobody knows for how long it has been so. One that is older
 * than what is known, because an event overtook it, is none either.
 */
export function noteRead(snapshot: Snapshot, { version, backends }: PoolState, seen: OnSeen) {
  if (snapshot.version === 0 || version < snapshot.version) return;
  for (const { id, health, sinceMs } of backends) {
    const known = snapshot.health(id);
    if (known !== undefined && known !== health) seen("read", sinceMs);
  }
}
