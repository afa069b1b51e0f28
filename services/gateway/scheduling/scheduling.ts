// What the data path asks of scheduling. Behind it stand the settle client (decisions on the shared count) and the
// fallback (decisions on the last snapshot); the data path does not know which one answered.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";

/** `failure`: the backend's fault. `canceled`: the client's, never held against a backend. */
export type Outcome = "success" | "failure" | "canceled";

/** One request or connection counted in flight on a backend, until it is released: exactly once. */
export interface Pick {
  readonly pool: string;
  readonly backend: string;
  /** Origin of the backend. */
  readonly url: string;
  readonly source: "scheduler" | "fallback" | "static";
}

/** The want of most requests: any backend will do. */
export const ANY_BACKEND: Want = Object.freeze({});

export interface Scheduling {
  /**
   * Picks a backend of a pool and counts one in flight on it. `done` is called once, perhaps before `acquire`
   * returns and at most a few ten ms later; with null when no backend may take it.
   * @param want sent as it is: no field without a value
   */
  acquire(pool: string, want: Want, done: (pick: Pick | null) => void): void;
  /** The pool that takes the next request to a pool: itself, or the one that takes over while it cannot (`failoverTo`). */
  serving(pool: string): string;
  /** For a request that nobody of the pool may take: whom else to ask; null: there is no other pool. */
  after(pool: string): string | null;
  /** As far as is known here: healthy, active, and not drained by its agent. */
  ready(pool: string, backend: string): boolean;
  /** Counts one in flight on a given backend, whatever its health; null when the pool has no such backend. */
  hold(pool: string, backend: string): Pick | null;
  /** @param ttfbMs time to first byte of the response, null when none came */
  release(pick: Pick, outcome: Outcome, ttfbMs: number | null): void;
  /** What the backend said of its load with its answer, before the pick is released. At most `MAX_METRICS`. */
  report(pick: Pick, metrics: Record<string, number>): void;
  /** The pools of a new configuration. */
  setPools(pools: readonly Pool[]): void;
  /** What this gateway knows and holds, for the admin port. */
  view(): PoolView[];
  /** States empty rows, so that the counts are right at once rather than when this gateway is found dead. */
  stop(): Promise<void>;
}

export interface PoolView {
  pool: string;
  version: number;
  /** `scheduler`: decisions come from the shared count. `fallback`: this gateway decides by itself. */
  deciding: "scheduler" | "fallback";
  /** The pool that takes its requests now, since too few of its backends are ready; null: it does itself. */
  failover: string | null;
  /** Backend → how many this gateway has in flight. */
  held: Record<string, number>;
  /** Backend → how often this gateway picked it since it knows it, whoever decided. */
  picks: Record<string, number>;
  /** Backends that may be picked, as far as this gateway knows. */
  eligible: string[];
}
