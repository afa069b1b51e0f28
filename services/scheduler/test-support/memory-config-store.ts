// The store of the applied configuration without Redis, with switches for what can go wrong.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import type { StoredConfig } from "@evenkeel/runtime/config-watch.ts";

export interface MemoryConfigStore extends ConfigStore {
  applied: StoredConfig | null;
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
  const put = (document: ConfigDocument, expectedVersion: number | null, seeded: boolean) =>
    answer(() => {
      store.beforeApply();
      const held = store.applied?.documentVersion ?? 0;
      if (expectedVersion !== null && expectedVersion !== held) return { ok: false, version: held };
      const version = Math.max(EPOCH, (store.applied?.version ?? 0) + 1);
      const { discovered = {} } = store.applied ?? {};
      store.applied = stored(document, version, { seeded, discovered });
      return { ok: true, version };
    });
  const store: MemoryConfigStore = {
    applied: null,
    down: null,
    beforeApply: () => {},
    versions: () =>
      answer(() => {
        const { version = 0, documentVersion = 0 } = store.applied ?? {};
        return { version, documentVersion };
      }),
    read: () => answer(() => structuredClone(store.applied)),
    apply: (document, expectedVersion) => put(document, expectedVersion, false),
    restore: (known, instead, what) =>
      answer(() => {
        store.beforeApply();
        const held = store.applied?.version ?? 0;
        if (held !== instead) return { ok: false, version: held };
        const version = Math.max(EPOCH, held + 1, known.version + 1);
        const { written, documentVersion, seeded } = known;
        const { discovered } = what === "all" ? known : (store.applied ?? known);
        store.applied = structuredClone(stored(written, version, { documentVersion, seeded, discovered }));
        return { ok: true, version };
      }),
    seed: (document) => put(document, 0, true),
  };
  return store;
}

/** A configuration as a store holds it. */
export const stored = (
  document: ConfigDocument,
  version: number,
  more: Partial<StoredConfig> = {},
): StoredConfig => ({
  version,
  documentVersion: version,
  seeded: false,
  written: structuredClone(document),
  discovered: {},
  ...more,
});
