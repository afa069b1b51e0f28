import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SHARD_SIZE, shardsOf, standstillMs } from "./shards.ts";

const poolOf = (ids: readonly string[], health: object | null = {}): Pool =>
  resolvePool({
    name: "shop",
    backends: ids.map((id) => ({ id, url: "http://127.0.0.1:1" })),
    ...(health && { health: { protocol: "tcp", ...health } }),
  });

const ids = fc.uniqueArray(fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/), { maxLength: 600 });
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `shop-${i}`);

describe("shards", () => {
  it("hold every backend exactly once", () => {
    fc.assert(
      fc.property(ids, (backends) => {
        const shards = shardsOf(poolOf(backends));
        const members = shards.flatMap((shard) => shard.backends.map(({ id }) => id));
        expect(members.toSorted()).toEqual(backends.toSorted());
        expect(new Set(shards.map(({ id }) => id)).size).toBe(shards.length);
        expect(shards.every((shard) => shard.backends.length > 0)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("depend on the ids only, not on their order", () => {
    const members = (backends: string[]) =>
      Object.fromEntries(
        shardsOf(poolOf(backends)).flatMap(({ id, backends: own }) => own.map((backend) => [backend.id, id])),
      );
    fc.assert(
      fc.property(ids, (backends) => {
        expect(members(backends)).toEqual(members(backends.toReversed()));
      }),
      { numRuns: 50 },
    );
  });

  it("keep a backend where it is when another one is exchanged", () => {
    const shardOf = (backends: string[], id: string) =>
      shardsOf(poolOf(backends)).find((shard) => shard.backends.some((backend) => backend.id === id))?.id;
    const before = numbered(250);
    const after = before.with(7, "newcomer");
    for (const id of before.filter((known) => after.includes(known))) {
      expect(shardOf(after, id)).toBe(shardOf(before, id));
    }
  });

  it("are about evenly filled for numbered backends", () => {
    const sizes = shardsOf(poolOf(numbered(20 * SHARD_SIZE))).map(({ backends }) => backends.length);
    expect(sizes).toHaveLength(20);
    expect(Math.max(...sizes)).toBeLessThan(1.5 * SHARD_SIZE);
  });

  it("are named after their cut, so that no two cuts are confused", () => {
    expect(shardsOf(poolOf(numbered(SHARD_SIZE))).map(({ id }) => id)).toEqual(["shop/0-of-1"]);
    const cut = shardsOf(poolOf(numbered(SHARD_SIZE + 1)));
    expect(cut.map(({ id }) => id).toSorted()).toEqual(["shop/0-of-2", "shop/1-of-2"]);
  });

  it("do not exist for a pool without probing or without backends", () => {
    expect(shardsOf(poolOf(["a"], null))).toEqual([]);
    expect(shardsOf(poolOf([]))).toEqual([]);
  });
});

describe("a standstill", () => {
  it.each([
    [200, 100, 5_100],
    [2_000, 1_000, 7_000],
    [60_000, 1_000, 181_000],
  ])("at an interval of %i ms and a timeout of %i ms is one after %i ms", (intervalMs, timeoutMs, limit) => {
    const [shard] = shardsOf(poolOf(["a"], { intervalMs, timeoutMs }));
    expect(shard && standstillMs(shard)).toBe(limit);
  });
});
