// Policies that learn from what is reported: least-time, criteria.
import { describe, expect, it } from "vitest";
import type { Criterion } from "../../config/resolve-scheduling.ts";
import { facts, found, outcome, POOL } from "../fixtures.ts";
import { type Create, createScene, type Scene, tally } from "./scene.ts";

const took = (success: number, ms: number) => outcome({ success, latencyUs: ms * 1_000 });
const failed = (n: number) => outcome({ failure: n, failuresInRow: n });
/** So many in a row that none is ever taken out. */
const failures = 1_000;

export function byWhatIsLearned(create: Create): void {
  describe("least-time", () => leastTime(createScene(create)));
  describe("criteria", () => {
    const scene = createScene(create);
    ownCriteria(scene);
    reportedCriteria(scene);
  });
}

function leastTime({ configure, reports, picks, pick, holds, state, advance, pool }: Scene): void {
  const timed = { policy: "least-time", failures } as const;

  it("gives the faster its share more, in proportion", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    await reports({ a: took(200, 10), b: took(200, 20) });
    const { a = 0, b = 0 } = tally(await picks(300));
    expect(a / b).toBeGreaterThan(1.9);
    expect(a / b).toBeLessThan(2.1);
  });

  it("reckons with weights and with what is in flight", async () => {
    await configure(facts({ a: 1, b: 3 }, timed));
    await reports({ a: took(200, 10), b: took(200, 10) });
    expect(tally(await picks(80))).toEqual({ a: 20, b: 60 });
    await holds({ a: 0, b: 60 });
    expect(tally(await picks(20))).toEqual({ a: 20 });
  });

  it("takes a backend it knows nothing about for an average one", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }, timed));
    await reports({ a: took(200, 10), b: took(200, 30) });
    const { a = 0, b = 0, c = 0 } = tally(await picks(380));
    expect(a).toBeGreaterThan(190);
    expect(c).toBeGreaterThan(95);
    expect(c).toBeLessThan(110);
    expect(b).toBeLessThan(75);
  });

  it("forgets within 5 s what is not confirmed, so that an avoided backend gets its share again", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    await reports({ a: took(100, 10), b: took(10, 100) });
    const early = tally(await picks(60)).b ?? 0;
    expect(early).toBeLessThan(12);
    for (let i = 0; i < 49; i += 1) {
      advance(100);
      await state({ full: true });
    }
    const later = tally(await picks(60)).b ?? 0;
    expect(later).toBeGreaterThan(early);
    advance(100);
    await holds({});
    expect(tally(await picks(60))).toEqual({ a: 30, b: 30 });
  });

  it("forgets also when the clock is set back", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    await reports({ a: took(100, 10), b: took(10, 100) });
    advance(-3_600_000);
    await pool();
    advance(5_000);
    await holds({});
    expect(tally(await picks(60))).toEqual({ a: 30, b: 30 });
  });

  it("does not take failing fast for being fast", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    await reports({ a: took(20, 10), b: took(20, 10) });
    await reports({ b: failed(20) });
    const { a = 0, b = 0 } = tally(await picks(60));
    expect(a).toBeGreaterThan(3 * b);
  });

  it("does not take failing for being fast even before anything is known of the pool", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    await reports({ b: failed(20) });
    await reports({ a: took(20, 10) });
    advance(1_000);
    await holds({});
    expect(tally(await picks(20)).b).toBeLessThanOrEqual(10);
    await reports({ b: outcome({ success: 1, failure: 1, latencyUs: 10_000 }) });
    await holds({});
    expect(tally(await picks(20)).b).toBeLessThanOrEqual(10);
  });

  it("starves nobody: however slow, a backend counts as at most 16 times slower than the mean", async () => {
    await configure(facts({ a: 1, b: 1 }, timed));
    for (let i = 0; i < 20; i += 1) await reports({ a: took(1_000, 1) });
    for (let i = 0; i < 20; i += 1) await reports({ b: took(1, 60_000), a: took(1_000, 1) });
    expect(tally(await picks(200)).b).toBeGreaterThan(9);
  });

  it("learns before it is asked: a pool that is switched to it knows at once", async () => {
    await configure(facts({ a: 1, b: 1 }));
    await reports({ a: took(50, 50), b: took(50, 5) });
    await configure(facts({ a: 1, b: 1 }, timed));
    expect(await pick()).toBe("b");
    expect(await pick()).toBe("b");
  });
}

const sumOf = (...criteria: Criterion[]) => ({ policy: "criteria", failures, criteria }) as const;
const criterion = (name: string, scale = 1, weight = 1): Criterion => ({ name, weight, scale });

function ownCriteria({ configure, reports, picks, pick, advance, holds }: Scene): void {
  it("connections: as least-connections", async () => {
    await configure(facts({ a: 1, b: 2, c: 3 }, sumOf(criterion("connections", 10))));
    expect(tally(await picks(60))).toEqual({ a: 10, b: 20, c: 30 });
  });

  it("latency: the faster, until that is forgotten", async () => {
    await configure(facts({ a: 1, b: 1 }, sumOf(criterion("latency"))));
    await reports({ a: took(200, 10), b: took(200, 5) });
    expect(tally(await picks(4))).toEqual({ b: 4 });
    advance(5_000);
    await holds({});
    expect(tally(await picks(4))).toEqual({ a: 2, b: 2 });
  });

  it("errors: the one that fails less often, until that is forgotten", async () => {
    await configure(facts({ a: 1, b: 1 }, sumOf(criterion("errors"))));
    await reports({ a: outcome({ success: 9, failure: 1, latencyUs: 10 }), b: took(10, 10) });
    expect(tally(await picks(4))).toEqual({ b: 4 });
    advance(5_000);
    await holds({});
    expect(tally(await picks(4))).toEqual({ a: 2, b: 2 });
  });

  it("cost: the cheaper", async () => {
    const costs = { a: { cost: 3 }, b: { cost: 1 }, c: { cost: 2 } };
    await configure(facts({ a: 1, b: 1, c: 1 }, sumOf(criterion("cost", 3)), costs));
    expect([await pick(), await pick({ exclude: ["b"] }), await pick({ exclude: ["b", "c"] })]).toEqual([
      "b",
      "c",
      "a",
    ]);
  });

  it("distance: the nearer to the request", async () => {
    const distances = { eu: { eu: 0, us: 50 }, us: { eu: 50, us: 0 } };
    const zones = { a: { zone: "eu" }, b: { zone: "us" } };
    await configure(facts({ a: 1, b: 1 }, { ...sumOf(criterion("distance", 50)), distances }, zones));
    expect(tally(await picks(4, { zone: "us" }))).toEqual({ b: 4 });
    expect(tally(await picks(4, { zone: "eu" }))).toEqual({ a: 4 });
    expect(tally(await picks(4))).toEqual({ a: 2, b: 2 });
  });

  it("sums them by weight: as far as the dearer is less loaded, it is taken", async () => {
    const both = sumOf(criterion("connections", 10), criterion("cost"));
    await configure(facts({ a: 1, b: 1 }, both, { b: { cost: 1 } }));
    expect(tally(await picks(20))).toEqual({ a: 15, b: 5 });
    const dear = sumOf(criterion("connections", 10), criterion("cost", 1, 1.5));
    await configure(facts({ a: 1, b: 1 }, dear, { b: { cost: 1 } }));
    await holds({});
    expect(tally(await picks(25))).toEqual({ a: 20, b: 5 });
  });

  it("sums distance and connections: as far as the nearer is more loaded, the farther is taken", async () => {
    const both = sumOf(criterion("connections", 10), criterion("distance", 50));
    const zones = { a: { zone: "eu" }, b: { zone: "us" } };
    await configure(facts({ a: 1, b: 1 }, { ...both, distances: { eu: { eu: 0, us: 50 } } }, zones));
    expect(tally(await picks(20, { zone: "eu" }))).toEqual({ a: 15, b: 5 });
  });
}

function reportedCriteria(scene: Scene): void {
  const { configure, reports, picks, pick, advance, pool, holds } = scene;
  const byCpu = facts({ a: 1, b: 1, c: 1 }, sumOf(criterion("cpu")));
  const says = (cpu: number) => ({ ...took(1, 10), metrics: { cpu } });

  it("takes the lowest of what backends report; who reports nothing counts as their mean", async () => {
    await configure(byCpu);
    await reports({ a: says(0.9), b: says(0.1) });
    advance(200);
    expect(await pick()).toBe("b");
    expect(await pick({ exclude: ["b"] })).toBe("c");
    expect(await pick({ exclude: ["b", "c"] })).toBe("a");
  });

  it("takes what an agent says as well, the last word of either", async () => {
    await configure(byCpu);
    await reports({ a: says(0.5), b: says(0.4), c: says(0.6) });
    await scene.ledger.observe(POOL, [{ ...found("c", true), metrics: { cpu: 0.2 } }]);
    expect(tally(await picks(3))).toEqual({ c: 3 });
    await reports({ c: says(0.8) });
    expect(tally(await picks(3))).toEqual({ b: 3 });
  });

  it("believes a report for 10 s; then the backend counts as the mean", async () => {
    await configure(byCpu);
    await reports({ a: says(0.9), b: says(0.1), c: says(0.5) });
    advance(9_000);
    await reports({ c: says(0.5), a: says(0.9) });
    expect(await pick()).toBe("b");
    advance(1_000);
    await holds({});
    // b's mean of 0.6 is above c's 0.5
    expect(await pick()).toBe("c");
    expect(await pick({ exclude: ["c"] })).toBe("b");
  });

  it("believes no report from a time that has not come yet", async () => {
    await configure(byCpu);
    await reports({ a: says(0.9), b: says(0.1), c: says(0.5) });
    advance(-3_600_000);
    await pool();
    await reports({ a: says(0.2), c: says(0.3) });
    advance(200);
    await holds({});
    expect(await pick()).toBe("a");
  });

  it("counts what is below 0 as 0", async () => {
    await configure(byCpu);
    await reports({ a: says(-5), b: says(0), c: says(1) });
    expect(tally(await picks(4))).toEqual({ a: 2, b: 2 });
  });
}
