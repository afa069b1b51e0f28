// Reads of pools' states, shared: who asks gets a state read after the question; who asks while a read of the pool is
// under way shares the next one. So a large pool is read at most once at a time, however many gateways want it.
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";

type Read = (pool: string) => Promise<PoolState | null>;

/** @param read never rejects */
export function createStateReader(read: Read): Read {
  const running = new Map<string, Promise<PoolState | null>>();
  const next = new Map<string, Promise<PoolState | null>>();

  const start = (pool: string): Promise<PoolState | null> => {
    const state = read(pool).finally(() => running.delete(pool));
    running.set(pool, state);
    return state;
  };

  return (pool) => {
    const present = running.get(pool);
    if (!present) return start(pool);
    const shared =
      next.get(pool) ??
      present.then(() => {
        next.delete(pool);
        return start(pool);
      });
    next.set(pool, shared);
    return shared;
  };
}
