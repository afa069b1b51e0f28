// Who may be picked at all, before any policy: modes, health, panic.
import { describe, expect, it } from "vitest";
import { facts, POOL } from "../fixtures.ts";
import { type Create, createScene, many, tally } from "./scene.ts";

export function eligibility(create: Create): void {
  describe("eligibility", () => {
    const scene = createScene(create);
    const { configure, picks, passing, holds, state, fails, recovers, backend, pool, effectiveWeights } =
      scene;

    it("never picks a draining or disabled backend, and picks it again once active", async () => {
      await configure(facts({ a: 1, b: 1 }));
      expect(await scene.ledger.setMode(POOL, "a", "draining")).toBe(true);
      expect(await scene.ledger.setMode(POOL, "nobody", "draining")).toBe(false);
      expect(tally(await picks(4))).toEqual({ b: 4 });
      expect(await backend("a")).toMatchObject({ mode: "draining", health: "healthy", ready: false });
      await scene.ledger.setMode(POOL, "a", "active");
      expect(tally(await picks(4))).toEqual({ a: 4 });
    });

    it("keeps counting what drains, until it is done", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ a: 2 });
      await scene.ledger.setMode(POOL, "a", "draining");
      expect((await backend("a")).inflight).toBe(2);
      await state({ held: { a: 0 } });
      expect((await backend("a")).inflight).toBe(0);
    });

    it("never picks an unhealthy backend while enough others are healthy", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }));
      await fails("b");
      expect(tally(await picks(4))).toEqual({ a: 2, c: 2 });
      await recovers("b");
      expect(tally(await picks(2))).toEqual({ b: 2 });
    });

    it("uses every active backend when less than half of them are healthy, and says so", async () => {
      await configure(facts({ a: 1, b: 1, c: 1, d: 1 }));
      await scene.ledger.setMode(POOL, "d", "disabled");
      await fails("a");
      expect((await pool()).panic).toBe(false);
      expect(tally(await passing(4))).toEqual({ b: 2, c: 2 });
      await fails("b");
      expect((await pool()).panic).toBe(true);
      expect(await backend("a")).toMatchObject({ ready: false, effectiveWeight: 1 });
      expect(tally(await passing(6))).toEqual({ a: 2, b: 2, c: 2 });
      await recovers("a");
      expect((await pool()).panic).toBe(false);
      expect(tally(await passing(4))).toEqual({ a: 2, c: 2 });
    });

    it("panics below the configured share of healthy ones, not at it", async () => {
      await configure(facts(many("x", 10), { panicPercent: 30 }));
      await fails("x1", "x2", "x3", "x4", "x5", "x6", "x7");
      expect((await pool()).panic).toBe(false);
      await fails("x8");
      expect((await pool()).panic).toBe(true);
    });

    it("never panics at 0: with nobody healthy, nobody is picked", async () => {
      await configure(facts({ a: 1, b: 1 }, { panicPercent: 0 }));
      await fails("a");
      expect(tally(await picks(2))).toEqual({ b: 2 });
      await fails("b");
      expect((await pool()).panic).toBe(false);
      expect(await picks(2)).toEqual([null, null]);
      expect(await effectiveWeights()).toEqual({ a: 0, b: 0 });
    });

    it("takes a new panic threshold at once", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }));
      await fails("a", "b");
      expect((await pool()).panic).toBe(true);
      await configure(facts({ a: 1, b: 1, c: 1 }, { panicPercent: 33 }));
      expect((await pool()).panic).toBe(false);
      expect(tally(await picks(2))).toEqual({ c: 2 });
    });

    it("takes a new maxInflight at once, lower or higher", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await picks(8);
      await configure(facts({ a: 1, b: 1 }, {}, { a: { maxInflight: 3 } }));
      expect(tally(await picks(2))).toEqual({ b: 2 });
      await configure(facts({ a: 1, b: 1 }, {}, { a: { maxInflight: 5 } }));
      expect(tally(await picks(3))).toEqual({ a: 1, b: 2 });
    });

    it("shows the weight that a pick reckons with, 0 for whom no pick may take", async () => {
      await configure(facts({ a: 2, b: 3, c: 4 }));
      await scene.ledger.setMode(POOL, "a", "draining");
      await fails("c");
      expect(await effectiveWeights()).toEqual({ a: 0, b: 3, c: 0 });
    });
  });
}
