import { describe, expect, it } from "vitest";
import { fnv1a } from "../hash.ts";
import { createRanking, type Member } from "./rendezvous.ts";

const KEYS = Array.from({ length: 20_000 }, (_, i) => fnv1a(`10.${i >> 8}.${i & 255}.7`));
const members = (count: number, weight = 1): Member[] =>
  Array.from({ length: count }, (_, i) => ({ id: `shop-${i + 1}`, weight }));

const firsts = (of: readonly Member[]) => {
  const ranking = createRanking(of, 8);
  return KEYS.map((key) => ranking(key)[0] as string);
};

describe("a weighted rendezvous ranking", () => {
  it("says the same whatever the order its members were given in", () => {
    const some = members(20).map((one, i) => ({ ...one, weight: 1 + (i % 3) }));
    const a = createRanking(some, 8);
    const b = createRanking([...some].reverse(), 8);
    for (const key of KEYS.slice(0, 500)) expect(a(key)).toEqual(b(key));
  });

  it("names each at most once, as many as asked for or as there are", () => {
    const few = createRanking(members(3), 8);
    const many = createRanking(members(100), 8);
    for (const key of KEYS.slice(0, 200)) {
      expect(few(key).sort()).toEqual(["shop-1", "shop-2", "shop-3"]);
      expect(new Set(many(key)).size).toBe(8);
    }
    expect(createRanking([], 8)(1)).toEqual([]);
  });

  it("orders as sorting all of them by −ln(u) ÷ weight would", () => {
    const some = members(50).map((one, i) => ({ ...one, weight: [0.25, 1, 7][i % 3] as number }));
    const long = createRanking(some, 50);
    const short = createRanking(some, 8);
    for (const key of KEYS.slice(0, 500)) expect(short(key)).toEqual(long(key).slice(0, 8));
  });

  it("gives each member the share of its weight, within 5 %", () => {
    const weights = [1, 2, 3, 4];
    const some = members(4).map((one, i) => ({ ...one, weight: weights[i] as number }));
    const first = firsts(some);
    for (const [i, weight] of weights.entries()) {
      const share = first.filter((id) => id === `shop-${i + 1}`).length / KEYS.length;
      expect(Math.abs(share / (weight / 10) - 1)).toBeLessThan(0.05);
    }
  });

  it("gives its share to a member whose id has the hash of another's", () => {
    expect(fnv1a("costarring")).toBe(fnv1a("liquid"));
    const first = firsts(["costarring", "liquid", "third"].map((id) => ({ id, weight: 1 })));
    for (const id of ["costarring", "liquid"])
      expect(Math.abs(first.filter((one) => one === id).length / (KEYS.length / 3) - 1)).toBeLessThan(0.05);
  });

  it("moves only the keys of a member that leaves, and spreads them over those that stay", () => {
    const before = firsts(members(10));
    const after = firsts(members(10).filter(({ id }) => id !== "shop-4"));
    const heirs = new Map<string, number>();
    before.forEach((id, i) => {
      const now = after[i] as string;
      if (id === "shop-4") heirs.set(now, (heirs.get(now) ?? 0) + 1);
      else expect(now).toBe(id);
    });
    const left = [...heirs.values()].reduce((sum, n) => sum + n, 0);
    expect(heirs.size).toBe(9);
    for (const n of heirs.values()) expect(Math.abs(n / (left / 9) - 1)).toBeLessThan(0.25);
  });

  it("moves to a member that joins its share of the keys, and no other key", () => {
    const before = firsts(members(10));
    const after = firsts(members(11));
    let moved = 0;
    after.forEach((id, i) => {
      if (id === before[i]) return;
      expect(id).toBe("shop-11");
      moved += 1;
    });
    expect(Math.abs(moved / (KEYS.length / 11) - 1)).toBeLessThan(0.08);
  });

  it("moves keys only towards a member whose weight rises", () => {
    const before = firsts(members(10));
    const after = firsts(members(10).map((one) => (one.id === "shop-2" ? { ...one, weight: 3 } : one)));
    after.forEach((id, i) => {
      if (id !== before[i]) expect(id).toBe("shop-2");
    });
    expect(after.filter((id) => id === "shop-2").length / KEYS.length).toBeCloseTo(3 / 12, 1);
  });
});
