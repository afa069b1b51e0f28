// Registrations in memory, with a clock that a test turns.
import type { Registered, Registrations } from "@evenkeel/ledger/registrations.ts";

export function memoryRegistrations() {
  let all: Registered[] = [];
  let failure: string | null = null;
  const state = {
    nowMs: 1_000_000,
    fail(reason: string | null) {
      failure = reason;
    },
    /** Everything is gone, as when Redis was. */
    lose() {
      all = [];
    },
    looks: 0,
  };
  const registrations: Pick<Registrations, "put" | "remove" | "list"> = {
    async put(pool, backend, ttlMs) {
      await this.remove(pool, backend.id);
      all.push({ pool, backend, ttlMs, renewedMs: state.nowMs });
    },
    async remove(pool, id) {
      const before = all.length;
      all = all.filter((one) => one.pool !== pool || one.backend.id !== id);
      return all.length < before;
    },
    async list() {
      state.looks += 1;
      if (failure !== null) throw new Error(failure);
      const registered = all.filter(({ renewedMs, ttlMs }) => renewedMs + ttlMs > state.nowMs);
      return { nowMs: state.nowMs, registered };
    },
  };
  return Object.assign(state, registrations);
}
