// What the admin API shows of the pools' logs: their entries, merged by time, and where to go on.
import type { LedgerEvent } from "../ledger/ledger.ts";

/** `id` is `<pool>/<id in the pool's log>`: the same from every scheduler. */
export type ShownEvent = { id: string; pool: string } & LedgerEvent;

export interface ShownEvents {
  events: ShownEvent[];
  /** For `after` of the next request: it continues behind the last of these, losing and repeating nothing. */
  cursor: string;
  /** There is more already: ask again at once. */
  more: boolean;
  /** Pools whose log could not be read just now; the cursor keeps their place. Left out: none. */
  unread?: string[];
}

export const EVENT_TYPES = [
  "health",
  "mode",
  "agent",
  "panic",
  "members",
] as const satisfies readonly LedgerEvent["type"][];

export const EVENTS_LIMIT_MAX = 1_000;
/** Longest wait for something new, of one request. */
export const EVENTS_WAIT_MAX_MS = 30_000;
