// What this gateway holds of one pool, and what became of it since the last statement. Counts are stated in absolute
// numbers, so a statement that is lost, late or repeated leaves nothing wrong.
import type { Outcomes } from "@evenkeel/core/ledger/ledger.ts";
import type { Outcome } from "./scheduling.ts";

export interface Row {
  /** Backend → in flight, without zeros. */
  readonly held: ReadonlyMap<string, number>;
  /** Backend → how many the ledger counts for us, as far as statements and picks were answered. */
  readonly counted: ReadonlyMap<string, number>;
  /** Backend → how often it was picked, whoever decided, since it is known here. */
  readonly picks: ReadonlyMap<string, number>;
  /** The ledger picked it for us, and counts it. */
  picked(backend: string): void;
  /** One more: a pick that was taken. */
  granted(backend: string): void;
  /** One more, not yet known to the ledger (a fallback pick, a static hold). */
  took(backend: string): void;
  released(backend: string, outcome: Outcome, ttfbMs: number | null): void;
  /** What it said of its load; the last one counts. Nothing to state for its own sake. */
  reported(backend: string, metrics: Record<string, number>): void;
  /** A pick that we did not take: the ledger counts one that we do not hold. */
  declined(backend: string): void;
  /** Nothing more is counted of the picks of those that are not known. */
  keep(known: (backend: string) => boolean): void;
  /** Whether there is something to state. */
  readonly dirty: boolean;
  /** What to state: all of the row, or what may have changed. Outcomes are handed over, once. */
  take(full: boolean): { held: Record<string, number>; outcomes: Record<string, Outcomes> };
}

export function createRow(): Row {
  const held = new Map<string, number>();
  let counted = new Map<string, number>();
  const changed = new Set<string>();
  const picks = new Map<string, number>();
  let outcomes = new Map<string, Outcomes>();

  const take = (backend: string) => {
    add(backend, 1);
    picks.set(backend, (picks.get(backend) ?? 0) + 1);
  };

  const add = (backend: string, n: number) => {
    const next = (held.get(backend) ?? 0) + n;
    if (next > 0) held.set(backend, next);
    else held.delete(backend);
  };

  const count = (backend: string) => {
    const n = held.get(backend);
    if (n === undefined) counted.delete(backend);
    else counted.set(backend, n);
  };

  const outcomesOf = (backend: string): Outcomes => {
    const known = outcomes.get(backend);
    if (known) return known;
    const none = { success: 0, failure: 0, canceled: 0, failuresInRow: 0, latencyUs: 0 };
    outcomes.set(backend, none);
    return none;
  };

  return {
    held,
    get counted() {
      return counted;
    },
    picks,
    picked: (backend) => void counted.set(backend, (counted.get(backend) ?? 0) + 1),
    granted: take,
    took(backend) {
      take(backend);
      changed.add(backend);
    },
    released(backend, outcome, ttfbMs) {
      add(backend, -1);
      changed.add(backend);
      record(outcomesOf(backend), outcome, ttfbMs);
    },
    reported(backend, metrics) {
      outcomesOf(backend).metrics = metrics;
    },
    declined: (backend) => void changed.add(backend),
    keep(known) {
      for (const backend of picks.keys()) if (!known(backend)) picks.delete(backend);
    },
    get dirty() {
      return changed.size > 0;
    },
    take(full) {
      const statement = {
        held: full ? Object.fromEntries(held) : absolute(changed, held),
        outcomes: outcomes.size > 0 ? Object.fromEntries(outcomes) : {},
      };
      if (full) counted = new Map(held);
      else for (const backend of changed) count(backend);
      changed.clear();
      if (outcomes.size > 0) outcomes = new Map();
      return statement;
    },
  };
}

function absolute(changed: ReadonlySet<string>, held: ReadonlyMap<string, number>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const backend of changed) counts[backend] = held.get(backend) ?? 0;
  return counts;
}

/** `latencyUs` stays the mean over the successes. */
function record(sum: Outcomes, outcome: Outcome, ttfbMs: number | null): void {
  sum[outcome] += 1;
  if (outcome === "failure") sum.failuresInRow += 1;
  if (outcome !== "success") return;
  sum.failuresInRow = 0;
  sum.latencyUs += Math.round(((ttfbMs ?? 0) * 1_000 - sum.latencyUs) / sum.success);
}
