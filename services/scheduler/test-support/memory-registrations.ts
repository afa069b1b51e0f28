// Registrations without Redis, with a switch for what can go wrong.
import type { Registered, Registrations } from "@evenkeel/ledger/registrations.ts";

export interface MemoryRegistrations extends Registrations {
  /** Thrown by every method while it is not null. */
  down: Error | null;
}

/** @param clock ms; what has expired by it is gone */
export function createMemoryRegistrations(clock: () => number): MemoryRegistrations {
  const held = new Map<string, Registered>();
  const nameOf = (pool: string, id: string) => `${pool}/${id}`;
  const live = () => [...held.values()].filter(({ renewedMs, ttlMs }) => renewedMs + ttlMs > clock());
  const answer = async <T>(value: () => T): Promise<T> => {
    if (store.down) throw store.down;
    return structuredClone(value());
  };
  const store: MemoryRegistrations = {
    down: null,
    put: (pool, backend, ttlMs) =>
      answer(() => void held.set(nameOf(pool, backend.id), { pool, backend, ttlMs, renewedMs: clock() })),
    remove: (pool, id) => answer(() => held.delete(nameOf(pool, id))),
    find: (pool, id) =>
      answer(() => live().find((one) => one.pool === pool && one.backend.id === id)?.backend ?? null),
    list: () => answer(() => ({ nowMs: clock(), registered: live() })),
  };
  return store;
}
