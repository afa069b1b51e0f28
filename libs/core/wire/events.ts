// What travels on the Redis pub/sub channel. Events are hints: each carries a version, and whoever sees a gap, or
// reconnects, reads the state again. Losing one costs time, never correctness.
import type { Health, HealthReason, Mode } from "../health/state.ts";

export interface BackendChange {
  backend: string;
  health: Health;
  mode: Mode;
  reason: HealthReason;
}

export type Event =
  /** A pool changed from version - 1 to `version`. No `changes`: read the pool again. */
  | { type: "pool"; pool: string; version: number; changes?: BackendChange[] }
  | { type: "config"; version: number };

/** Null for what is not an event: the channel is open to whoever can reach Redis. */
export function parseEvent(text: string): Event | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { type, pool, version } = value as Record<string, unknown>;
  if (typeof version !== "number") return null;
  if (type === "config" || (type === "pool" && typeof pool === "string")) return value as Event;
  return null;
}
