// Who leaves again and again stays out longer each time.
import { describe, expect, it } from "vitest";
import { facts, outcome } from "../fixtures.ts";
import { type Create, createScene } from "./scene.ts";

const failures = (n: number) => outcome({ failure: n, failuresInRow: n });

export function damping(create: Create): void {
  describe("damping", () => {
    const { configure, fails, recovers, backend, advance, reports, pool, probe } = createScene(create);
    const health = async () => (await backend("a")).health;

    /** Out and, as soon as it may, back: so often. */
    async function flap(times: number): Promise<void> {
      for (let i = 0; i < times; i += 1) {
        await fails("a");
        const { returnsMs, sinceMs } = await backend("a");
        advance((returnsMs ?? sinceMs) - sinceMs);
        await recovers("a");
        expect(await health()).toBe("healthy");
      }
    }

    it("lets good probes bring a backend back at once after it has left for the first time", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await fails("a");
      expect(await backend("a")).toMatchObject({ ejections: 1, returnsMs: null });
      await recovers("a");
      expect(await backend("a")).toMatchObject({ health: "healthy", ejections: 1, returnsMs: null });
    });

    it("keeps it out for one holdMs more each time, however good its probes, and then one probe is enough", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await flap(2);
      await fails("a");
      const { sinceMs, returnsMs, ejections } = await backend("a");
      expect([ejections, (returnsMs as number) - sinceMs]).toEqual([3, 20_000]);
      for (const wait of [5_000, 5_000, 9_999]) {
        advance(wait);
        await probe("a", true, 5);
        expect(await health()).toBe("unhealthy");
      }
      advance(1);
      await probe("a", true);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probe" });
    });

    it("returns it unproven after as many times holdMs as it has left", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await flap(2);
      await reports({ a: failures(3) });
      advance(29_999);
      expect(await health()).toBe("unhealthy");
      advance(1);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation", ejections: 3 });
    });

    it("never keeps it out longer than maxHoldMs by one departure", async () => {
      await configure(facts({ a: 1, b: 1 }, { maxHoldMs: 25_000 }));
      await flap(9);
      await reports({ a: failures(3) });
      const { sinceMs, returnsMs, ejections } = await backend("a");
      expect([ejections, (returnsMs as number) - sinceMs]).toEqual([3, 20_000]);
      advance(25_000);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation" });
    });

    it("forgives one for each holdMs spent healthy", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await flap(4);
      advance(29_999);
      await fails("a");
      expect((await backend("a")).ejections).toBe(3);
      advance(20_000);
      await recovers("a");
      advance(3_600_000);
      await fails("a");
      expect(await backend("a")).toMatchObject({ ejections: 1, returnsMs: null });
    });

    it("keeps what it was told through a new configuration, and forgets it with the address", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await flap(2);
      await configure(facts({ a: 3, b: 1 }));
      expect((await backend("a")).ejections).toBe(2);
      await configure(facts({ a: 3, b: 1 }, {}, { a: { url: "http://127.0.0.1:1" } }));
      expect((await backend("a")).ejections).toBe(0);
    });

    it("is not drawn out by a clock that was set back", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await flap(2);
      await fails("a");
      advance(-3_600_000);
      await pool();
      advance(20_000);
      await recovers("a");
      expect(await health()).toBe("healthy");
      advance(-3_600_000);
      await pool();
      advance(30_000);
      await fails("a");
      expect((await backend("a")).ejections).toBe(1);
    });
  });
}
