// What all sources of backends have in common: each watches one place for one pool, and tells what stands there whenever
// that may have changed.
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";

/** What a source named, but cannot be a backend. */
export interface Rejected {
  /** The backend's id, or whatever else it is known by. */
  what: string;
  reason: string;
}

/** Everything that the source names now, or why it cannot tell. */
export type SourceAnswer =
  | { ok: true; backends: BackendDocument[]; rejected?: Rejected[] }
  | { ok: false; reason: string };

export interface SourceStart {
  pool: string;
  /** What is known of this source already. */
  known: readonly BackendDocument[];
  /** Never called again after `stop`. */
  tell(answer: SourceAnswer): void;
}

export interface RunningSource {
  stop(): void;
}

/** A promise of time, so that tests need not wait. */
export interface Timers {
  /** Monotonic, ms. */
  nowMs(): number;
  /** Runs once after the delay, unless canceled. */
  after(delayMs: number, run: () => void): () => void;
}

export const realTimers: Timers = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Doubles with every failure in a row, from the first to the longest wait. */
export const backOffMs = (failures: number, firstMs: number, longestMs: number): number =>
  Math.min(firstMs * 2 ** Math.min(failures - 1, 16), Math.max(firstMs, longestMs));

export const reasonOf = (error: unknown): string => {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || "failed";
};
