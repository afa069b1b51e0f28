// The reference model as a Redis that can come back with older data: it is made anew, and told again what it knew.
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";

export function createForgetfulRedis() {
  let nowMs = 1_700_000_000_000;
  let thenMs: number | null = null;
  let calls: { atMs: number; call: (ledger: Ledger) => Promise<unknown> }[] = [];
  const empty = () => createModelLedger(() => thenMs ?? nowMs);
  let ledger = empty();
  return {
    advance(ms: number) {
      nowMs += ms;
    },
    call<T>(call: (ledger: Ledger) => Promise<T>): Promise<T> {
      calls.push({ atMs: nowMs, call });
      return call(ledger);
    },
    /** @param lost how many of the last calls are undone */
    async forget(lost: number) {
      calls = calls.slice(0, Math.max(0, calls.length - lost));
      ledger = empty();
      for (const { atMs, call } of calls) {
        thenMs = atMs;
        await call(ledger);
      }
      thenMs = null;
    },
  };
}
