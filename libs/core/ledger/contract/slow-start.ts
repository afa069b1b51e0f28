// Slow start: when it applies, and how the weight grows.
import { describe, expect, it } from "vitest";
import { facts, POOL } from "../fixtures.ts";
import type { PoolFacts } from "../ledger.ts";
import { type Create, createScene, tally } from "./scene.ts";

const WINDOW_MS = 30_000;
const slowly: Partial<PoolFacts> = { slowStartMs: WINDOW_MS };

export function slowStart(create: Create): void {
  describe("slow start", () => {
    const scene = createScene(create);
    const { configure, picks, holds, fails, recovers, backend, pool, advance } = scene;
    const weightOf = async (id: string) => (await backend(id)).effectiveWeight;
    const two = facts({ a: 10, b: 10 }, slowly);
    const three = facts({ a: 10, b: 10, c: 10 }, slowly);

    it("begins with 10 % of the weight, grows evenly with time and ends with the window", async () => {
      await configure(two);
      await configure(three);
      expect(await weightOf("c")).toBe(1);
      advance(3_000);
      expect(await weightOf("c")).toBe(1);
      advance(3_000);
      expect(await weightOf("c")).toBeCloseTo(2, 2);
      advance(9_000);
      expect(await weightOf("c")).toBeCloseTo(5, 2);
      advance(14_750);
      expect(await weightOf("c")).toBeLessThan(10);
      advance(250);
      expect(await weightOf("c")).toBe(10);
      advance(-WINDOW_MS / 2); // over is over
      expect(await weightOf("c")).toBe(10);
    });

    it("grows as picks are made, also when nobody reads the pool", async () => {
      await configure({ ...two, policy: "round-robin" });
      await configure({ ...three, policy: "round-robin" });
      advance(WINDOW_MS);
      expect(tally(await picks(30))).toEqual({ a: 10, b: 10, c: 10 });
    });

    it("begins with the configured share and takes the configured time", async () => {
      const faster = { slowStartMs: 1_000, slowStartPercent: 50 };
      await configure({ ...two, ...faster });
      await configure({ ...three, ...faster });
      expect(await weightOf("c")).toBe(5);
      advance(750);
      expect(await weightOf("c")).toBe(7.5);
    });

    it("does not apply to a pool's first configuration, nor where it is switched off", async () => {
      await configure(two);
      expect(await weightOf("a")).toBe(10);
      await configure({ ...three, slowStartMs: 0 });
      expect(await weightOf("c")).toBe(10);
    });

    it("does not apply where nobody else is there to carry the load", async () => {
      await configure(two);
      await configure(facts({ c: 10, d: 10 }, slowly));
      expect([await weightOf("c"), await weightOf("d")]).toEqual([10, 10]);
      await configure(facts({ c: 10, d: 10 }, { ...slowly, panicPercent: 0 }));
      await fails("c", "d");
      await recovers("c");
      expect(await weightOf("c")).toBe(10);
      await recovers("d");
      expect(await weightOf("d")).toBe(1);
    });

    it("applies to whoever comes back: by probes, on probation, activated, or under a new address", async () => {
      await configure(three);
      await fails("c");
      await recovers("c");
      expect(await weightOf("c")).toBe(1);
      await fails("b");
      advance(WINDOW_MS); // more than the 10 s a failure keeps it out
      expect(await backend("b")).toMatchObject({ reason: "probation", effectiveWeight: 1 });
      await scene.ledger.setMode(POOL, "a", "draining");
      await scene.ledger.setMode(POOL, "a", "active");
      expect(await weightOf("a")).toBe(1);
      await configure(facts({ a: 10, b: 10, c: 10 }, slowly, { c: { url: "http://127.0.0.1:9" } }));
      expect(await weightOf("c")).toBe(1);
    });

    it("begins anew whenever a backend falls and returns: flapping wins nothing", async () => {
      await configure(three);
      for (let i = 0; i < 4; i += 1) {
        await fails("c");
        await recovers("c");
        expect(await weightOf("c")).toBe(1);
        advance(WINDOW_MS / 2);
        expect(await weightOf("c")).toBeCloseTo(5, 2);
      }
      for (const mode of ["draining", "active", "disabled", "active"] as const) {
        await scene.ledger.setMode(POOL, "c", mode);
      }
      expect(await weightOf("c")).toBe(1);
    });

    it("goes on through a new weight, a new policy and whatever else is configured", async () => {
      await configure(two);
      await configure(three);
      advance(15_000);
      await configure(facts({ a: 10, b: 10, c: 40 }, { ...slowly, policy: "round-robin" }));
      expect(await weightOf("c")).toBeCloseTo(20, 1);
      await configure(facts({ a: 10, b: 10, c: 40 }, { ...slowly, policy: "random", spillAt: 7 }));
      expect(await weightOf("c")).toBeCloseTo(20, 1);
    });

    it("ends at once when it is switched off", async () => {
      await configure(two);
      await configure(three);
      await configure({ ...three, slowStartMs: 0 });
      expect(await weightOf("c")).toBe(10);
    });

    it("is suspended in panic: everyone counts in full", async () => {
      await configure(two);
      await configure(three);
      await fails("a", "b");
      expect((await pool()).panic).toBe(true);
      expect(await weightOf("c")).toBe(10);
      expect(tally(await picks(30))).toEqual({ a: 10, b: 10, c: 10 });
    });

    it("does not apply to whom panic had used all along", async () => {
      await configure(three);
      await fails("a", "b");
      await recovers("a");
      expect((await pool()).panic).toBe(false);
      expect(await weightOf("a")).toBe(10);
      expect(await weightOf("b")).toBe(0);
    });

    it("does not apply to who joined in panic, and has served since", async () => {
      await configure(facts({ a: 10, b: 10, c: 10, d: 10 }, slowly));
      await fails("a", "b", "c");
      await configure(facts({ a: 10, b: 10, c: 10, d: 10, e: 10 }, slowly));
      expect((await pool()).panic).toBe(true);
      await recovers("a");
      expect((await pool()).panic).toBe(false);
      expect(await weightOf("e")).toBe(10);
    });

    it("is not stretched by a clock that was set back", async () => {
      await configure(two);
      await configure(three);
      advance(-3_600_000);
      expect(await weightOf("c")).toBe(1);
      advance(WINDOW_MS);
      expect(await weightOf("c")).toBe(10);
    });

    it("spares what is in flight elsewhere: the newcomer is filled to its present share only", async () => {
      await configure(facts({ a: 10, b: 10 }, slowly));
      await holds({ a: 100, b: 100 });
      await configure(three);
      advance(15_000);
      expect(tally(await picks(300, {}, "g2")).c).toBeLessThanOrEqual(120);
    });
  });
}
