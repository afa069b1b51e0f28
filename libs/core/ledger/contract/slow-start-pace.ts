// The pace of slow start: however empty a newcomer is, it gets at most twice its present share of any run of picks.
import { describe, expect, it } from "vitest";
import type { Policy } from "../../config/schema-scheduling.ts";
import { facts } from "../fixtures.ts";
import type { BackendFacts, PoolFacts, Want } from "../ledger.ts";
import { type Create, createScene, many, type Picks, type Scene, tally } from "./scene.ts";

const OLD = many("x", 9);
const HELD = many("x", 9, 50);
const more = (policy: Policy): Partial<PoolFacts> => ({
  policy,
  slowStartMs: 30_000,
  criteria: [{ name: "connections", weight: 1, scale: 10 }],
  distances: { here: { here: 0, there: 9 } },
});

/** Picks of the pool from one pick of `id` to its next, the least that there was. */
function leastGap(picks: Picks, id: string): number {
  let least = Number.POSITIVE_INFINITY;
  let last: number | null = null;
  for (const [i, picked] of picks.entries()) {
    if (picked !== id) continue;
    if (last !== null) least = Math.min(least, i - last);
    last = i;
  }
  return least;
}

export function pace(create: Create): void {
  describe("the pace of slow start", () => {
    const scene = createScene(create);
    for (const policy of [
      "least-connections",
      "round-robin",
      "least-time",
      "first",
      "hash",
      "geo",
      "criteria",
    ] as const) {
      bounded(scene, policy);
    }
    inTheEnd(scene);
    inNeed(scene);
    byDraw(scene);
  });
}

function bounded({ configure, picks, passing, holds, advance }: Scene, policy: Policy): void {
  const zone = { zone: "here" };
  const old = facts(OLD, more(policy));
  const [newcomer] = facts({ new: 1 }, {}, { new: { ...zone, url: "http://127.0.0.1:9" } }).backends;
  const want: Want = { ...zone, ranked: ["new", "x1"] };

  it(`holds for ${policy}, idle or with long connections`, async () => {
    await configure(old);
    await configure({ ...old, backends: [newcomer as BackendFacts, ...old.backends] });
    // 10 % of 1, of 9.1 in all: twice its share is every 46th
    expect(leastGap(await passing(150, want), "new")).toBeGreaterThanOrEqual(46);
    await holds(HELD);
    expect(leastGap(await picks(150, want), "new")).toBeGreaterThanOrEqual(46);
    for (let i = 0; i < 60; i += 1) {
      advance(250);
      await holds(HELD);
    }
    // half of 1, of 9.5: every 10th, or by turns, which are not twice its share, every 19th
    const later = await picks(150, want);
    expect(leastGap(later, "new")).toBe(policy === "round-robin" ? 19 : 10);
  });
}

function inTheEnd(scene: Scene): void {
  const { configure, picks, passing, advance, holds } = scene;

  it("is over with the window: then it is filled up like any other", async () => {
    await configure(facts(OLD, more("least-connections")));
    await configure(facts({ ...OLD, new: 1 }, more("least-connections")));
    advance(30_000);
    await holds(HELD);
    expect(tally(await picks(50, {}, "g2"))).toEqual({ new: 50 });
  });

  it("does not count for the others", async () => {
    await configure(facts(OLD, more("least-connections")));
    await configure(facts({ ...OLD, new: 1 }, more("least-connections")));
    const picked = tally(await passing(92));
    expect(picked.new).toBe(2);
    for (const id of Object.keys(OLD)) expect(picked[id]).toBe(10);
  });

  it("holds for each of many newcomers", async () => {
    const newcomers = many("n", 9);
    await configure(facts(OLD, more("least-connections")));
    await configure(facts({ ...OLD, ...newcomers }, more("least-connections")));
    const picked = await passing(180);
    // 0.1 each of 9.9 in all: twice the share is every 50th
    for (const id of Object.keys(newcomers)) expect(leastGap(picked, id)).toBeGreaterThanOrEqual(50);
  });

  it("gives round-robin its exact share in the long run", async () => {
    await configure(facts(OLD, more("round-robin")));
    await configure(facts({ ...OLD, new: 1 }, more("round-robin")));
    expect(tally(await picks(910)).new).toBe(10);
  });
}

function inNeed({ configure, picks, fails, holds }: Scene): void {
  it("does not count where nobody else is left", async () => {
    const crowded = Object.fromEntries(Object.keys(OLD).map((id) => [id, { maxInflight: 2 }]));
    await configure(facts(OLD, more("least-connections"), crowded));
    await configure(facts({ ...OLD, new: 1 }, more("least-connections"), crowded));
    expect(tally(await picks(30)).new).toBe(12);
    await holds({});
    expect(tally(await picks(9, { exclude: Object.keys(OLD) }))).toEqual({ new: 9 });
  });

  it("does not count in panic", async () => {
    await configure(facts({ a: 1, b: 1 }, more("least-connections")));
    await configure(facts({ a: 1, b: 1, c: 1 }, more("least-connections")));
    await fails("a", "b");
    await holds({ a: 20, b: 20 });
    expect(tally(await picks(9))).toEqual({ c: 9 });
  });

  it("does not keep a session from its backend", async () => {
    await configure(facts({ a: 1, b: 1 }, more("round-robin")));
    await configure(facts({ a: 1, b: 1, c: 1 }, more("round-robin")));
    expect(tally(await picks(5, { stick: "c" }))).toEqual({ c: 5 });
  });
}

function byDraw({ configure, picks, holds }: Scene): void {
  it.each([
    { policy: "random" as const, share: 0.1 / 9.1 },
    { policy: "two-choices" as const, share: 0.2 / 9.1 },
  ])("is kept by $policy on the whole, by drawing it so much less often", async ({ policy, share }) => {
    await configure(facts(OLD, more(policy)));
    await holds(HELD);
    await configure(facts({ ...OLD, new: 1 }, more(policy)));
    let drawn = 0;
    for (let i = 0; i < 5; i += 1) drawn += tally(await picks(1_000)).new ?? 0;
    expect(drawn / 5_000).toBeLessThan(share + 4 * Math.sqrt(share / 5_000));
    expect(drawn / 5_000).toBeGreaterThan(share / 2);
  });
}
