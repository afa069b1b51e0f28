// Requests take out at most a share of the backends: where all fail, it is not the backends' fault.
import { describe, expect, it } from "vitest";
import { facts, outcome, POOL } from "../fixtures.ts";
import { type Create, createScene, many } from "./scene.ts";

const failures = (n: number) => outcome({ failure: n, failuresInRow: n });

export function atMostAShare(create: Create): void {
  describe("at most a share", () => {
    const scene = createScene(create);
    const { configure, reports, fails, recovers, each, backend } = scene;
    const out = async () =>
      Object.entries(await each(({ health }) => health)).flatMap(([id, health]) =>
        health === "unhealthy" ? [id] : [],
      );

    it("of the active backends is taken out by requests, and the next failure takes out another once one is back", async () => {
      await configure(facts(many("x", 5), { maxEjectPercent: 40 }));
      for (const id of ["x1", "x2", "x3"]) await reports({ [id]: failures(3) });
      expect(await out()).toEqual(["x1", "x2"]);
      await recovers("x1");
      expect(await out()).toEqual(["x2"]);
      await reports({ x3: failures(1) });
      expect(await out()).toEqual(["x2", "x3"]);
    });

    it("holds within one report of many", async () => {
      await configure(facts(many("x", 5), { maxEjectPercent: 40 }));
      await reports({ x1: failures(3), x2: failures(3), x3: failures(3), x4: failures(3) });
      expect(await out()).toEqual(["x1", "x2"]);
    });

    it("is at least one", async () => {
      await configure(facts({ a: 1, b: 1 }, { maxEjectPercent: 0 }));
      await reports({ a: failures(3) });
      await reports({ b: failures(3) });
      expect(await out()).toEqual(["a"]);
    });

    it("never keeps probes from taking out more", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }, { maxEjectPercent: 0 }));
      await fails("a", "b", "c");
      expect(await out()).toEqual(["a", "b", "c"]);
    });

    it("counts only backends in use, and lets go of one that is not", async () => {
      await configure(facts({ a: 1, b: 1, c: 1, d: 1 }, { maxEjectPercent: 50 }));
      await scene.ledger.setMode(POOL, "c", "disabled");
      await scene.ledger.setMode(POOL, "d", "draining");
      await reports({ a: failures(3), d: failures(3) });
      expect(await out()).toEqual(["a", "d"]);
      await reports({ b: failures(3) });
      expect((await backend("b")).health).toBe("healthy");
    });
  });
}
