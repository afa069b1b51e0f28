// The store of the applied configuration without Redis, with switches for what can go wrong.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { AppliedConfig } from "@evenkeel/runtime/config-watch.ts";

export interface MemoryConfigStore extends ConfigStore {
  applied: AppliedConfig | null;
  /** Thrown by every method while it is not null. */
  down: Error | null;
  /** Runs before each `apply`: whatever another scheduler does just then. */
  beforeApply: () => void;
}

/** Versions after a loss start here, as they start at the clock in Redis. */
export const EPOCH = 1_000;

export function createMemoryConfigStore(): MemoryConfigStore {
  const answer = async <T>(value: () => T): Promise<T> => {
    if (store.down) throw store.down;
    return value();
  };
  const put = (
    document: ConfigDocument,
    expectedVersion: number | null,
    seenVersion: number,
    seeded: boolean,
  ) =>
    answer(() => {
      store.beforeApply();
      const held = store.applied?.version ?? 0;
      if (expectedVersion !== null && expectedVersion !== held) return { ok: false, version: held };
      const lost = held === 0 || held < seenVersion;
      const version = lost ? Math.max(EPOCH, seenVersion + 1) : held + 1;
      store.applied = { version, seeded, document: structuredClone(document) };
      return { ok: true, version };
    });
  const store: MemoryConfigStore = {
    applied: null,
    down: null,
    beforeApply: () => {},
    version: () => answer(() => store.applied?.version ?? 0),
    read: () => answer(() => structuredClone(store.applied)),
    apply: (document, expectedVersion, seenVersion = 0) => put(document, expectedVersion, seenVersion, false),
    seed: (document) => put(document, 0, 0, true),
  };
  return store;
}
