// The pools of the applied configuration by name, without reading all of it each time.
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";

/** A new pool is known after this long at the latest. */
const FRESH_MS = 500;

/** @param clock milliseconds, monotonic */
export function createPoolNames(
  configs: Pick<ConfigStore, "versions" | "read">,
  clock: () => number = () => performance.now(),
): () => Promise<readonly string[]> {
  let names: readonly string[] = [];
  let version = -1;
  let askedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock() - askedMs < FRESH_MS) return names;
    const { documentVersion: applied } = await configs.versions();
    if (applied !== version) {
      const config = await configs.read();
      names = config?.written.pools.map(({ name }) => name) ?? [];
      version = config?.documentVersion ?? 0;
    }
    askedMs = clock();
    return names;
  };
}
