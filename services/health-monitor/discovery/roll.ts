// Who counts as registered, from one look at Redis to the next. A registration that is missing may have expired, have been
// taken back, or be lost with Redis; and one that was not renewed may belong to a dead backend, or to a good one that
// reaches no scheduler. What is missing leaves only where the first is certain enough. No I/O.
import type { Registered } from "@evenkeel/ledger/registrations.ts";

export interface Entry extends Registered {
  /** Redis does not have it, for all we know by no fault of its own. */
  lost: boolean;
  /** It was given more time once, for nobody could be renewed in its own. */
  again?: true;
}

export interface Roll {
  entries: ReadonlyMap<string, Entry>;
  /** Redis's time of the last look. */
  lookedMs: number;
}

/** Without a break there was a scheduler that could have taken a renewal. By Redis's clock. */
export interface Reachable {
  sinceMs: number;
  /** When one was last heard of. */
  untilMs: number;
}

export interface Listing {
  nowMs: number;
  registered: readonly Registered[];
  /** Null: there is none now, or nobody knows. */
  reachable: Reachable | null;
}

export const entryKey = ({ pool, backend }: Pick<Registered, "pool" | "backend">): string =>
  `${pool}/${backend.id}`;

/**
 * Others that were renewed in the second half of a registration's time show that it could have been, too: everyone renews
 * at least twice in a TTL. Any later renewal at all would not do, for when no scheduler can be reached, somebody is always
 * the last one who did.
 */
const EVIDENCE_AFTER = 0.5;

/**
 * The only one there is has no others to go by. Of several that all stopped at the same time it is likelier that they
 * cannot register, with a token that was changed, than that all of them died.
 */
const wasReachable = ({ renewedMs, ttlMs }: Entry, reachable: Reachable | null): boolean =>
  reachable !== null && reachable.sinceMs <= renewedMs && reachable.untilMs >= renewedMs + ttlMs;

/** @param told pools in which somebody registered or left since the last look */
export function nextRoll(
  roll: Roll,
  { nowMs, registered, reachable }: Listing,
  told: ReadonlySet<string>,
): Roll {
  const entries = new Map<string, Entry>(registered.map((one) => [entryKey(one), { ...one, lost: false }]));
  const renewedSince = new Set<string>();
  let newestMs = 0;
  let knownMs = 0;
  let remembers = false;
  for (const [key, { pool, renewedMs }] of entries) {
    newestMs = Math.max(newestMs, renewedMs);
    if (renewedMs >= roll.lookedMs) renewedSince.add(pool);
    else if (roll.entries.get(key)?.lost === false) remembers = true;
  }
  for (const { lost, renewedMs } of roll.entries.values()) if (!lost) knownMs = Math.max(knownMs, renewedMs);
  newestMs = Math.max(newestMs, knownMs);

  for (const [key, entry] of roll.entries) {
    if (entries.has(key)) continue;
    const expired = nowMs >= entry.renewedMs + entry.ttlMs;
    if (expired || entry.lost) {
      const evidenceMs = entry.renewedMs + entry.ttlMs * EVIDENCE_AFTER;
      // The first who comes back after nobody could be renewed says nothing of those who are about to.
      const tooLate = knownMs < evidenceMs && newestMs > entry.renewedMs + entry.ttlMs;
      if (expired && tooLate && !entry.again) {
        entries.set(key, { ...entry, renewedMs: nowMs, lost: true, again: true });
        continue;
      }
      const couldRenew =
        newestMs >= evidenceMs ||
        (roll.entries.size === 1 && entries.size === 0 && wasReachable(entry, reachable));
      if (!expired || !couldRenew) entries.set(key, entry);
      continue;
    }
    // Before its time. Redis has what it had, or somebody left and nobody came: it was taken back.
    const takenBack = remembers || (told.has(entry.pool) && !renewedSince.has(entry.pool));
    if (!takenBack) entries.set(key, { ...entry, renewedMs: nowMs, lost: true });
  }
  return { entries, lookedMs: nowMs };
}
