// For tests: a scheduling in memory that remembers what it was told, and waiting for a condition.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Outcome, Pick, Scheduling } from "../scheduling/scheduling.ts";

const WAIT_MS = 5_000;

export interface Released {
  backend: string;
  outcome: Outcome;
  ttfbMs: number | null;
}

export interface MemoryScheduling extends Scheduling {
  readonly released: Released[];
  /** Backends picked, in order. */
  readonly picked: string[];
  /** What was asked for, in order. */
  readonly wanted: Want[];
  /** What backends said of their load: backend and metrics. */
  readonly reported: [string, Record<string, number>][];
  /** What is held now, over all pools. */
  held(): number;
  /** How many `acquire` calls wait for an answer. */
  waiting(): number;
  /** Answers no `acquire` until the function returned is called. */
  hesitate(): () => void;
  /** Pools that cannot serve, by the pools that take over for them. */
  readonly away: Map<string, string>;
  /** Backends that are not ready. */
  readonly unready: Set<string>;
}

/**
 * Picks the backend of the session, else the first in the order of the key, else of the pool, that is not excluded.
 * Throws when a pick is released twice.
 */
export function createMemoryScheduling(): MemoryScheduling {
  let pools = new Map<string, Pool>();
  const open = new Set<Pick>();
  const released: Released[] = [];
  const picked: string[] = [];
  const wanted: Want[] = [];
  const reported: [string, Record<string, number>][] = [];
  const away = new Map<string, string>();
  const unready = new Set<string>();
  let waiting: (() => void)[] | null = null;

  const take = (pool: string, backend: { id: string; url: string } | undefined): Pick | null => {
    if (!backend) return null;
    const pick: Pick = { pool, backend: backend.id, url: backend.url, source: "scheduler" };
    open.add(pick);
    picked.push(backend.id);
    return pick;
  };

  return {
    released,
    picked,
    wanted,
    reported,
    away,
    unready,
    held: () => open.size,
    waiting: () => waiting?.length ?? 0,
    hesitate() {
      waiting = [];
      return () => {
        const answers = waiting ?? [];
        waiting = null;
        for (const answer of answers) answer();
      };
    },
    acquire(pool, want, done) {
      wanted.push(want);
      const { exclude = [], ranked = [], stick } = want;
      const answer = () => {
        const free = (pools.get(pool)?.backends ?? []).filter(({ id }) => !exclude.includes(id));
        const named = [stick, ...ranked].map((id) => free.find((backend) => backend.id === id));
        done(take(pool, named.find((backend) => backend !== undefined) ?? free[0]));
      };
      if (waiting) waiting.push(answer);
      else answer();
    },
    serving: (pool) => away.get(pool) ?? pool,
    after: (pool) => pools.get(pool)?.failoverTo ?? null,
    ready: (pool, backend) =>
      !unready.has(backend) && (pools.get(pool)?.backends.some(({ id }) => id === backend) ?? false),
    hold: (pool, backend) =>
      take(
        pool,
        pools.get(pool)?.backends.find(({ id }) => id === backend),
      ),
    release(pick, outcome, ttfbMs) {
      if (!open.delete(pick)) throw new Error(`released twice: ${pick.backend}`);
      released.push({ backend: pick.backend, outcome, ttfbMs });
    },
    report(pick, metrics) {
      if (!open.has(pick)) throw new Error(`reported after its release: ${pick.backend}`);
      reported.push([pick.backend, metrics]);
    },
    setPools(next) {
      pools = new Map(next.map((pool) => [pool.name, pool]));
    },
    view: () => [],
    stop: async () => {},
  };
}

/** Waits for a condition, with a bound. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${WAIT_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
