// Preferring one backend up to a bound of what it has in flight: what a hybrid route asks for. Whoever the policy is, the
// static backend comes before it, and what it has no room for goes to the others.
import { describe, expect, it } from "vitest";
import { POLICIES } from "../../config/schema-scheduling.ts";
import { facts, POOL } from "../fixtures.ts";
import type { PoolFacts, Want } from "../ledger.ts";
import { type Create, createScene, type Scene, tally } from "./scene.ts";

const prefer = (backend: string, below: number, more: Want = {}): Want => ({
  ...more,
  prefer: { backend, below },
});

const CRITERIA = [{ name: "connections", weight: 1, scale: 10 }];
const THREE = { a: 1, b: 1, c: 1 };

export function preferring(create: Create): void {
  describe("a preferred backend", () => {
    const scene = createScene(create);
    bounds(scene);
    whenNever(scene);
    sessionsAndTurns(scene);
    tiersAndPanic(scene);
    starting(scene);
  });
}

function bounds({ configure, picks, pick, holds, state, counts }: Scene): void {
  it.each(POLICIES)("is taken up to the bound and no further, then the others are, by %s", async (policy) => {
    await configure(facts(THREE, { policy, criteria: CRITERIA }));
    const picked = await picks(9, prefer("a", 5));
    expect(picked.slice(0, 5)).toEqual(Array(5).fill("a"));
    const { b = 0, c = 0, ...others } = tally(picked.slice(5));
    expect([b + c, others]).toEqual([4, {}]);
  });

  it("is counted over all gateways and whoever asked for it", async () => {
    await configure(facts(THREE));
    await holds({ a: 3 }, "g2");
    await picks(2, { exclude: ["b", "c"] }, "g3");
    expect(tally(await picks(5, prefer("a", 8), "g1")).a).toBe(3);
    expect((await counts()).a).toBe(8);
  });

  it("is taken again with the first that it has done, and keeps having as many in flight as the bound", async () => {
    await configure(facts(THREE));
    await picks(12, prefer("a", 4));
    for (let round = 1; round <= 20; round += 1) {
      const { picks: next } = await state({
        full: true,
        held: { a: 3, b: 4, c: 4 },
        wants: [prefer("a", 4), prefer("a", 4)],
      });
      expect(next[0]).toBe("a");
      expect(next[1]).not.toBe("a");
      expect((await counts()).a).toBe(4);
    }
  });

  it("is kept for those who may go further: each want has a bound of its own, in one call as in several", async () => {
    await configure(facts(THREE));
    await holds({ a: 5 });
    const asked = [5, 8, 10].map((below) => prefer("a", below));
    const { picks: picked } = await state({ wants: [...asked, ...asked] });
    expect(picked.map((id) => id === "a")).toEqual([false, true, true, false, true, true]);
    expect((await counts()).a).toBe(9);
  });

  it("has more in flight than its bound only where nobody else may take the request", async () => {
    await configure(facts({ a: 1, b: 1 }, {}, { a: { maxInflight: 5 }, b: { maxInflight: 2 } }));
    expect(await picks(9, prefer("a", 3))).toEqual(["a", "a", "a", "b", "b", "a", "a", null, null]);
    await holds({ a: 3 });
    expect(await pick(prefer("a", 3, { exclude: ["b"] }))).toBe("a");
  });

  it("never has more in flight than its maxInflight", async () => {
    await configure(facts(THREE, {}, { a: { maxInflight: 2 } }));
    expect(tally(await picks(8, prefer("a", 100)))).toEqual({ a: 2, b: 3, c: 3 });
  });
}

function whenNever(scene: Scene): void {
  const { configure, picks, pick, fails, recovers, holds, counts } = scene;

  it("that was tried and is excluded is not taken, also where nobody else is left", async () => {
    await configure(facts(THREE));
    expect(tally(await picks(6, prefer("a", 100, { exclude: ["a"] })))).toEqual({ b: 3, c: 3 });
    expect(await pick(prefer("a", 100, { exclude: ["a", "b", "c"] }))).toBeNull();
  });

  it.each(["draining", "disabled"] as const)("that is %s is not taken", async (mode) => {
    await configure(facts(THREE));
    await scene.ledger.setMode(POOL, "a", mode);
    expect(tally(await picks(6, prefer("a", 100)))).toEqual({ b: 3, c: 3 });
    await scene.ledger.setMode(POOL, "a", "active");
    expect(tally(await picks(6, prefer("a", 100)))).toEqual({ a: 6 });
  });

  it("that is unhealthy is not taken, and is again once it has recovered", async () => {
    await configure(facts(THREE));
    await fails("a");
    expect(tally(await picks(6, prefer("a", 100)))).toEqual({ b: 3, c: 3 });
    await recovers("a");
    expect(tally(await picks(6, prefer("a", 100)))).toEqual({ a: 6 });
  });

  it("that the pool does not have, or has no more, is nobody: the policy picks", async () => {
    await configure(facts(THREE));
    expect(tally(await picks(3, prefer("ghost", 100)))).toEqual({ a: 1, b: 1, c: 1 });
    await holds({ c: 1 });
    await configure(facts({ a: 1, b: 1 }));
    expect(tally(await picks(4, prefer("c", 100)))).toEqual({ a: 2, b: 2 });
    expect(await counts()).toEqual({ a: 2, b: 2 });
  });
}

function sessionsAndTurns({ configure, picks, pick, holds }: Scene): void {
  it("comes after the client's session, and before the policy where that one's backend cannot be had", async () => {
    await configure(facts(THREE));
    await holds({ a: 9 });
    expect(await pick(prefer("b", 5, { stick: "c" }))).toBe("c");
    expect(await pick(prefer("b", 5, { stick: "a" }))).toBe("a");
    expect(await pick(prefer("a", 5, { stick: "a" }))).toBe("a");
    expect(await pick(prefer("a", 100, { stick: "c", exclude: ["c"] }))).toBe("a");
  });

  it("takes no turn of its own by being preferred, and what spills takes the others' turns", async () => {
    await configure(facts({ a: 1, b: 1 }, { policy: "round-robin" }));
    const plain: (string | null)[] = [];
    for (let round = 0; round < 12; round += 1) {
      expect(await pick(prefer("a", 100))).toBe("a");
      plain.push(await pick());
    }
    expect(tally(plain)).toEqual({ a: 6, b: 6 });
    await configure(facts(THREE, { policy: "round-robin" }));
    await holds({ a: 5 });
    expect(tally(await picks(6, prefer("a", 5)))).toEqual({ b: 3, c: 3 });
  });

  it("comes before the request's own order, and what spills keeps to that order and its zone", async () => {
    await configure(facts({ a: 1, b: 1, c: 1, d: 1 }, { policy: "hash", hashBound: 10 }));
    const ranked = ["c", "a", "d", "b"];
    expect(await picks(4, prefer("a", 2, { ranked }))).toEqual(["a", "a", "c", "c"]);
    const zones = { a: { zone: "eu" }, b: { zone: "eu" }, c: { zone: "us" } };
    const distances = { us: { eu: 90, us: 0 }, eu: { eu: 0, us: 90 } };
    await configure(facts(THREE, { policy: "geo", distances }, zones));
    await holds({});
    expect(await picks(3, prefer("a", 2, { zone: "us" }))).toEqual(["a", "a", "c"]);
    expect(await pick(prefer("a", 2, { zone: "eu" }))).toBe("b");
  });
}

function tiersAndPanic({
  configure,
  picks,
  fails,
  holds,
  pool,
  effectiveWeights,
  counts,
  state,
}: Scene): void {
  const tiers = (more: Partial<PoolFacts> = {}) =>
    facts({ p: 1, q: 1, s: 1 }, more, { s: { priority: 1, maxInflight: 6 } });

  it("is taken although its tier is not needed, for the route names it; what spills stays in the tiers", async () => {
    await configure(tiers());
    expect(await effectiveWeights()).toEqual({ p: 1, q: 1, s: 0 });
    expect(tally(await picks(8, prefer("s", 4)))).toEqual({ s: 4, p: 2, q: 2 });
    expect(tally(await picks(4))).toEqual({ p: 2, q: 2 });
    expect(await counts()).toEqual({ p: 4, q: 4, s: 4 });
    expect(tally(await picks(10, prefer("s", 100)))).toMatchObject({ s: 2 });
    await state({ held: { s: 0 } });
    expect(await counts()).toMatchObject({ s: 0 });
  });

  it("of a tier not needed takes its place among the last picked when that tier is", async () => {
    await configure(facts({ p: 1, s: 1, t: 1 }, {}, { s: { priority: 1 }, t: { priority: 1 } }));
    expect(await picks(2, prefer("s", 4))).toEqual(["s", "s"]);
    await holds({});
    await fails("p");
    expect(await picks(2)).toEqual(["t", "s"]);
  });

  it("that is not healthy is not taken in panic either, where the policy may take it", async () => {
    await configure(facts(THREE));
    await fails("a", "b");
    expect((await pool()).panic).toBe(true);
    expect(tally(await picks(4, prefer("a", 100)))).toEqual({ b: 2, c: 2 });
    await holds({});
    expect(tally(await picks(3))).toEqual({ a: 1, b: 1, c: 1 });
    expect(tally(await picks(4, prefer("c", 100)))).toEqual({ c: 4 });
  });
}

function starting({ configure, picks, fails, recovers, holds, advance, effectiveWeights }: Scene): void {
  const slowly = { slowStartMs: 10_000, slowStartPercent: 10 };

  it("in slow start has that part of its bound, rising to the whole: what returns is not buried", async () => {
    await configure(facts(THREE, slowly));
    await fails("a");
    await recovers("a");
    const taken = async () => {
      const { a = 0 } = tally(await picks(60, prefer("a", 40)));
      await holds({});
      return a;
    };
    const shares = [];
    for (let second = 0; second <= 10; second += 2) {
      shares.push(await taken());
      advance(2_000);
      await holds({});
    }
    expect(shares).toEqual([4, 8, 16, 24, 32, 40]);
  });

  it("in slow start has at least one request, and its whole bound in panic", async () => {
    await configure(facts(THREE, { ...slowly, slowStartPercent: 1 }));
    await fails("a");
    await recovers("a");
    expect(tally(await picks(3, prefer("a", 3))).a).toBe(1);
    await holds({});
    await fails("b", "c");
    expect(tally(await picks(3, prefer("a", 3))).a).toBe(3);
  });

  it("of a tier not needed starts slowly as well, if it came back while its tier was needed", async () => {
    await configure(facts({ p: 1, q: 1, s: 1, t: 1 }, slowly, { s: { priority: 1 }, t: { priority: 1 } }));
    await fails("p");
    await fails("s");
    await recovers("s");
    await recovers("p");
    expect((await effectiveWeights()).s).toBe(0);
    expect(tally(await picks(20, prefer("s", 20))).s).toBe(2);
  });
}
