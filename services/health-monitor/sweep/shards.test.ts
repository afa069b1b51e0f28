import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutShards, MAX_SHARDS, SHARD_SIZE, shardCount } from "./shards.ts";

const keys = fc.uniqueArray(fc.stringMatching(/^[a-z0-9][a-z0-9./-]{0,20}$/), { maxLength: 600 });
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `shop/shop-${i}`);
const cut = (members: readonly string[]) => cutShards(members, (key) => key);

describe("shards", () => {
  it("hold every backend exactly once, whatever their order", () => {
    fc.assert(
      fc.property(keys, (members) => {
        const shards = cut(members);
        expect([...shards.values()].flat().toSorted()).toEqual(members.toSorted());
        expect([...shards.values()].every((shard) => shard.length > 0)).toBe(true);
        const turned = cut(members.toReversed());
        for (const [id, shard] of shards) expect(turned.get(id)?.toSorted()).toEqual(shard.toSorted());
      }),
      { numRuns: 50 },
    );
  });

  it("keep a backend where it is when another one is exchanged", () => {
    const before = numbered(700);
    const shardOf = (members: string[], key: string) =>
      [...cut(members)].find(([, shard]) => shard.includes(key))?.[0];
    const after = before.with(7, "shop/newcomer");
    for (const key of before.slice(8, 50)) expect(shardOf(after, key)).toBe(shardOf(before, key));
  });

  it("are about evenly filled for numbered backends", () => {
    const sizes = [...cut(numbered(32 * SHARD_SIZE)).values()].map(({ length }) => length);
    expect(sizes).toHaveLength(32);
    expect(Math.max(...sizes)).toBeLessThan(1.5 * SHARD_SIZE);
  });

  it("are so many that none is too large, up to a bound", () => {
    expect([0, 1, SHARD_SIZE, SHARD_SIZE + 1, 2 * SHARD_SIZE + 1].map(shardCount)).toEqual([1, 1, 1, 2, 4]);
    expect(shardCount(10_000_000)).toBe(MAX_SHARDS);
  });

  it("are named after their cut, so that no two cuts are confused", () => {
    expect([...cut(numbered(SHARD_SIZE)).keys()]).toEqual(["0-of-1"]);
    expect([...cut(numbered(SHARD_SIZE + 1)).keys()].toSorted()).toEqual(["0-of-2", "1-of-2"]);
  });

  it("do not exist where nothing is probed", () => {
    expect(cut([]).size).toBe(0);
  });
});
