// What a backend's agent asks for: a part of its weight, or to be left alone.
import { describe, expect, it } from "vitest";
import { facts, found, outcome, POOL } from "../fixtures.ts";
import { type Create, createScene, tally } from "./scene.ts";

export function agents(create: Create): void {
  describe("agents", () => {
    const scene = createScene(create);
    const { configure, observe, backend, effectiveWeights, pool, picks, pick, advance, fails, reports } =
      scene;
    const asks = (weightPercent: number, drain = false, backendId = "a") =>
      observe({ ...found(backendId, true), agent: { weightPercent, drain } });
    const version = async () => (await pool()).version;

    it("make a backend count for a part of its weight", async () => {
      await configure(facts({ a: 4, b: 4 }));
      expect((await backend("a")).agent).toBeNull();
      await asks(25);
      expect(await effectiveWeights()).toEqual({ a: 1, b: 4 });
      expect(tally(await picks(10))).toEqual({ a: 2, b: 8 });
      expect(await backend("a")).toMatchObject({ weight: 4, agent: { weightPercent: 25, drain: false } });
      await asks(100);
      expect(await effectiveWeights()).toEqual({ a: 4, b: 4 });
    });

    it("are taken in steps, so that a load that trembles changes nothing; a little is not nothing", async () => {
      await configure(facts({ a: 100, b: 1 }));
      await asks(50);
      const before = await version();
      for (const percent of [48, 52, 50.1]) await asks(percent);
      expect(await version()).toBe(before);
      await asks(0.1);
      expect((await effectiveWeights()).a).toBe(5);
      await asks(1_000);
      expect((await effectiveWeights()).a).toBe(100);
      await asks(-1);
      expect((await effectiveWeights()).a).toBe(0);
    });

    it.each([
      ["asks to drain", 100, true],
      ["asks for no weight", 0, false],
    ])(
      "keep a backend that %s from being picked, also where it is preferred or in panic",
      async (_, percent, drain) => {
        await configure(facts({ a: 1, b: 1 }, { panicPercent: 100 }));
        await asks(percent, drain);
        expect(tally(await picks(3))).toEqual({ b: 3 });
        expect(await backend("a")).toMatchObject({ mode: "active", health: "healthy", ready: false });
        expect(await pick({ prefer: { backend: "a", below: 9 } })).toBe("b");
        await fails("b");
        expect(await pool()).toMatchObject({ panic: true });
        expect(tally(await picks(3))).toEqual({ b: 3 });
        await asks(100);
        expect(await pick()).toBe("a");
      },
    );

    it("are heard no more when they fall silent, at the next finding or without one", async () => {
      await configure(facts({ a: 2, b: 2 }));
      await asks(50);
      await asks(50, true, "b");
      advance(29_999);
      await observe(found("a", true));
      expect(await effectiveWeights()).toEqual({ a: 1, b: 0 });
      const before = await version();
      advance(1);
      await observe(found("a", true));
      expect(await version()).toBe(before + 2);
      expect(await effectiveWeights()).toEqual({ a: 2, b: 2 });
      expect((await backend("b")).agent).toBeNull();
    });

    it("are heard as long as they repeat it, however often others change", async () => {
      await configure(facts({ a: 2, b: 2 }));
      for (let i = 0; i < 5; i += 1) {
        await asks(50);
        advance(20_000);
      }
      expect((await backend("a")).agent).toEqual({ weightPercent: 50, drain: false });
      await configure(facts({ a: 6, b: 2 }));
      expect(await effectiveWeights()).toEqual({ a: 3, b: 2 });
    });

    it("are not believed for as long as a clock was set back", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await asks(100, true);
      advance(-3_600_000);
      await pool();
      advance(30_000);
      expect((await backend("a")).agent).toBeNull();
    });

    it("of another address count no more", async () => {
      await configure(facts({ a: 2, b: 2 }));
      await asks(50);
      await configure(facts({ a: 2, b: 2 }, {}, { a: { url: "http://127.0.0.1:1" } }));
      expect(await backend("a")).toMatchObject({ effectiveWeight: 2, agent: null });
      await asks(50);
      expect((await backend("a")).agent).toBeNull();
    });

    it("leave to slow start who comes back from draining", async () => {
      await configure(facts({ a: 10, b: 10 }, { slowStartMs: 10_000 }));
      await asks(100, true);
      await asks(100);
      expect(await effectiveWeights()).toEqual({ a: 1, b: 10 });
      await asks(50);
      expect((await effectiveWeights()).a).toBe(0.5);
    });

    it("share what their tier is given", async () => {
      await configure(facts({ a: 4, b: 4, c: 8 }, {}, { c: { priority: 1 } }));
      await fails("b");
      const before = await effectiveWeights();
      await asks(50);
      const { a = 0, c = 0 } = await effectiveWeights();
      expect(a / (a + c)).toBeCloseTo((before.a ?? 0) / ((before.a ?? 0) + (before.c ?? 0)), 2);
      expect(a + c).toBeCloseTo(10, 1);
    });

    it("take backends out of those that requests may take out a share of", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }, { maxEjectPercent: 50 }));
      await asks(0, false, "c");
      const failed = outcome({ failure: 3, failuresInRow: 3 });
      await reports({ c: failed, a: failed, b: failed });
      expect(await scene.each(({ health }) => health)).toEqual({
        a: "unhealthy",
        b: "healthy",
        c: "unhealthy",
      });
      expect(await scene.ledger.setMode(POOL, "c", "active")).toBe(true);
    });
  });
}
