// The pool's log: what happened to it, the last so many entries.
import { EVENTS_KEPT, type LedgerEvent, type LoggedEvent } from "../ledger.ts";

export interface Log {
  entries: LoggedEvent[];
  /** Number of the last entry. */
  last: number;
}

type Unstamped<T> = T extends unknown ? Omit<T, "version" | "atMs"> : never;
export type Happening = Unstamped<LedgerEvent>;

export const emptyLog = (): Log => ({ entries: [], last: 0 });

export function append(
  log: Log,
  happenings: readonly Happening[],
  stamp: { version: number; atMs: number },
): void {
  for (const happening of happenings) {
    log.last += 1;
    log.entries.push({ id: String(log.last), event: { ...stamp, ...happening } as LedgerEvent });
  }
  log.entries.splice(0, log.entries.length - EVENTS_KEPT);
}

export const entriesAfter = (log: Log, after: string | null, most: number): LoggedEvent[] =>
  log.entries.filter(({ id }) => after === null || Number(id) > Number(after)).slice(0, most);
