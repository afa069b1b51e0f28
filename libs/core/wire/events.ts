// What travels on the Redis pub/sub channel. Events are hints: each carries a version, and whoever sees a gap, or
// reconnects, reads the state again. Losing one costs time, never correctness.
import type { Health, HealthReason, Mode } from "../health/state.ts";

export interface BackendChange {
  backend: string;
  health: Health;
  mode: Mode;
  reason: HealthReason;
  /** As its agent asks; 100 and false where it asks for nothing. */
  weightPercent: number;
  drain: boolean;
}

export type Event =
  /** A pool changed from version - 1 to `version`, at `atMs` by Redis's clock. No `changes`: read the pool again. */
  | { type: "pool"; pool: string; version: number; atMs: number; changes?: BackendChange[] }
  | { type: "config"; version: number }
  /** A backend registered itself, or left. */
  | { type: "registration"; pool: string; version: number };

/** Null for what is not an event: the channel is open to whoever can reach Redis. */
export function parseEvent(text: string): Event | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { type, pool, version, atMs, changes } = value;
  if (typeof version !== "number") return null;
  if (type === "config") return value as unknown as Event;
  if (typeof pool !== "string") return null;
  if (type === "registration") return value as unknown as Event;
  if (type !== "pool") return null;
  const told = Number.isFinite(atMs) && (changes === undefined || areChanges(changes));
  // Of an earlier release, or of nobody we know: enough to have the pool read again.
  return told ? (value as unknown as Event) : { type, pool, version, atMs: 0 };
}

const HEALTHS: readonly unknown[] = ["healthy", "unhealthy"] satisfies Health[];
const MODES: readonly unknown[] = ["active", "draining", "disabled"] satisfies Mode[];

const areChanges = (changes: unknown): boolean => Array.isArray(changes) && changes.every(isChange);

const isChange = (change: unknown): boolean =>
  isObject(change) &&
  typeof change.backend === "string" &&
  HEALTHS.includes(change.health) &&
  MODES.includes(change.mode) &&
  Number.isFinite(change.weightPercent) &&
  typeof change.drain === "boolean";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
