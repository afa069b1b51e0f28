// Logs of pools as Redis keeps them, each with a clock of its own, and with switches for what can go wrong.
import type { LedgerEvent, LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import { compare, placeOf } from "../events/cursor.ts";

export function createLogs(pools: readonly string[]) {
  const logs = new Map<string, LoggedEvent[]>(pools.map((pool) => [pool, []]));
  const down = new Set<string>();
  let reads = 0;
  return {
    logs,
    /** Pools whose server does not answer. */
    down,
    get reads() {
      return reads;
    },
    /** @param atMs by the clock of that pool's server; its ids rise also where that was set back */
    append(pool: string, atMs: number, event: Partial<LedgerEvent> = {}): string {
      const log = logs.get(pool) ?? [];
      logs.set(pool, log);
      const last = placeOf(log.at(-1)?.id ?? "0-0");
      const id = atMs > last.ms ? `${atMs}-0` : `${last.ms}-${last.n + 1}`;
      const panic = { type: "panic", on: true, version: log.length + 1, atMs };
      log.push({ id, event: { ...panic, ...event } as LedgerEvent });
      return `${pool}/${id}`;
    },
    async events(pool: string, after: string | null, most: number): Promise<LoggedEvent[]> {
      reads += 1;
      await Promise.resolve();
      if (down.has(pool)) throw new Error("down");
      const from = placeOf(after ?? "0-0");
      return (logs.get(pool) ?? []).filter(({ id }) => compare(placeOf(id), from) > 0).slice(0, most);
    },
  };
}
