// What the pool's version says, and what a configuration changes.
import { describe, expect, it } from "vitest";
import { facts, POOL } from "../fixtures.ts";
import { type Create, createScene } from "./scene.ts";

export function versions(create: Create): void {
  describe("versions", () => {
    const scene = createScene(create);
    const { configure, picks, probe, pool, counts } = scene;

    it("raises the version with every change of who may be picked, and only then", async () => {
      const first = await configure(facts({ a: 1, b: 1 }));
      const version = async () => (await pool()).version;
      await picks(5);
      await probe("a", false);
      expect(await version()).toBe(first);
      await scene.ledger.setMode(POOL, "a", "draining");
      await scene.ledger.setMode(POOL, "a", "draining");
      expect(await version()).toBe(first + 1);
    });

    it("tells the version with every settle", async () => {
      const version = await configure(facts({ a: 1 }));
      expect((await scene.ledger.settle(POOL, []))?.version).toBe(version);
    });

    it("ignores a configuration it already has, or an older one", async () => {
      const version = await scene.ledger.configure(facts({ a: 1 }, { configVersion: 5 }));
      expect(await scene.ledger.configure(facts({ b: 1 }, { configVersion: 5 }))).toBe(version);
      expect(await scene.ledger.configure(facts({ b: 1 }, { configVersion: 4 }))).toBe(version);
      expect(Object.keys(await counts())).toEqual(["a"]);
    });

    it("does not remove a pool that a newer configuration has made again", async () => {
      await scene.ledger.configure(facts({ a: 1 }, { configVersion: 3 }));
      await scene.ledger.remove(POOL, 2);
      expect(await scene.ledger.read(POOL)).not.toBeNull();
    });

    it("forgets a removed pool", async () => {
      await configure(facts({ a: 1 }));
      await picks(1);
      await scene.ledger.remove(POOL, 1);
      expect(await scene.ledger.read(POOL)).toBeNull();
      expect(await scene.ledger.rows(POOL)).toEqual({});
    });

    it("shows a pool as it was configured", async () => {
      const each = { b: { zone: "eu", maxInflight: 7, priority: 2, cost: 0.5 } };
      await configure(facts({ a: 1, b: 3 }, { policy: "first" }, each));
      expect(await pool()).toMatchObject({
        pool: POOL,
        policy: "first",
        panic: false,
        backends: [
          { id: "a", weight: 1, zone: null, maxInflight: null, priority: 0, cost: 0, mode: "active" },
          { id: "b", weight: 3, ...each.b, health: "healthy", reason: "initial", ready: true },
        ],
      });
    });
  });
}
