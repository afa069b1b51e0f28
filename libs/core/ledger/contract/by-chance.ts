// Policies that draw: random, two-choices. The generator is part of the ledger's state, so every run draws alike.
import { describe, expect, it } from "vitest";
import { facts } from "../fixtures.ts";
import { type Create, createScene, type Picks, type Scene, tally } from "./scene.ts";

/** Four standard deviations of a share drawn so many times. */
const margin = (share: number, draws: number) => 4 * Math.sqrt((share * (1 - share)) / draws);

function expectShares(picks: Picks, shares: Record<string, number>): void {
  const counted = tally(picks);
  for (const [id, share] of Object.entries(shares)) {
    const got = (counted[id] ?? 0) / picks.length;
    expect(Math.abs(got - share), `share of ${id}: ${got}`).toBeLessThan(margin(share, picks.length));
  }
}

export function byChance(create: Create): void {
  describe("random", () => random(createScene(create)));
  describe("two-choices", () => twoChoices(createScene(create)));
}

function random({ configure, picks, holds }: Scene): void {
  const drawn = { policy: "random" } as const;

  it("draws by weight, whatever is in flight", async () => {
    await configure(facts({ a: 1, b: 2, c: 7 }, drawn));
    await holds({ c: 1_000 });
    const all: Picks = [];
    for (let i = 0; i < 5; i += 1) all.push(...(await picks(1_000)));
    expectShares(all, { a: 0.1, b: 0.2, c: 0.7 });
  });

  it("draws every pick anew: no backend is bound to follow another", async () => {
    await configure(facts({ a: 1, b: 1 }, drawn));
    const order = await picks(1_000);
    const pairs = order.slice(1).map((id, i) => `${order[i]}${id}`);
    expectShares(pairs, { aa: 0.25, ab: 0.25, ba: 0.25, bb: 0.25 });
  });

  it("takes new weights at once", async () => {
    await configure(facts({ a: 1, b: 9 }, drawn));
    await picks(10);
    await configure(facts({ a: 9, b: 1 }, drawn));
    expectShares(await picks(1_000), { a: 0.9, b: 0.1 });
  });

  it("finds the one that is left, however unlikely it is drawn", async () => {
    await configure(facts({ a: 1_000, b: 1, c: 1_000 }, drawn, { c: { maxInflight: 5 } }));
    await holds({ c: 5 });
    expect(tally(await picks(100, { exclude: ["a"] }))).toEqual({ b: 100 });
  });
}

function twoChoices({ configure, picks, holds, passing, fails }: Scene): void {
  const drawn = { policy: "two-choices" } as const;

  it("takes the less loaded of two: never the most loaded, the least loaded most often", async () => {
    await configure(facts({ a: 1, b: 1, c: 1, d: 1, e: 1 }, drawn));
    const picked = await passing(400, {}, { a: 0, b: 10, c: 20, d: 30, e: 40 });
    expect(tally(picked).e).toBeUndefined();
    expectShares(picked, { a: 0.4, b: 0.3, c: 0.2, d: 0.1 });
  });

  it("compares load per weight", async () => {
    await configure(facts({ a: 1, b: 4 }, drawn));
    await holds({ a: 10, b: 20 });
    expect(tally(await picks(15))).toEqual({ b: 15 });
  });

  it("spreads what is in flight by weight", async () => {
    await configure(facts({ a: 1, b: 2, c: 3 }, drawn));
    const { a = 0, b = 0, c = 0 } = tally(await picks(600));
    expect(a).toBeGreaterThan(90);
    expect(a).toBeLessThan(110);
    expect(b).toBeGreaterThan(185);
    expect(b).toBeLessThan(215);
    expect(a + b + c).toBe(600);
  });

  it("is content with one where only one is left", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }, drawn));
    expect(tally(await picks(9, { exclude: ["a", "c"] }))).toEqual({ b: 9 });
    await configure(facts({ a: 1 }, drawn));
    expect(tally(await picks(9))).toEqual({ a: 9 });
  });

  it("finds the one that is left, however unlikely it is drawn", async () => {
    await configure(facts({ a: 1_000, b: 1, c: 1 }, { ...drawn, panicPercent: 0 }));
    await fails("c");
    expect(tally(await picks(50, { exclude: ["a"] }))).toEqual({ b: 50 });
  });
}
