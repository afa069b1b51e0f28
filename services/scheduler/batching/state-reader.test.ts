import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it } from "vitest";
import { createStateReader } from "./state-reader.ts";

const state = (version: number): PoolState => ({
  pool: "shop",
  version,
  policy: "least-connections",
  panic: false,
  backends: [],
});

describe("a shared reader of pool states", () => {
  it("gives whoever asks during a read the next one, and all of them the same", async () => {
    const reads: PromiseWithResolvers<PoolState | null>[] = [];
    const read = createStateReader(() => {
      const one = Promise.withResolvers<PoolState | null>();
      reads.push(one);
      return one.promise;
    });
    const first = read("shop");
    const later = [read("shop"), read("shop"), read("shop")];
    reads[0]?.resolve(state(1));
    expect((await first)?.version).toBe(1);
    await expect.poll(() => reads.length).toBe(2);
    reads[1]?.resolve(state(2));
    expect((await Promise.all(later)).map((one) => one?.version)).toEqual([2, 2, 2]);
    expect(reads.length).toBe(2);
  });

  it("keeps pools apart, and goes on after a read that failed", async () => {
    let version = 0;
    const read = createStateReader(async (pool) => {
      version += 1;
      return pool === "away" ? null : state(version);
    });
    expect(await Promise.all([read("away"), read("shop")])).toEqual([null, state(2)]);
    expect(await read("away")).toBeNull();
  });
});
