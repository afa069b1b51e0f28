// Tiers: backups take over as far as those before them lack healthy backends.
import { describe, expect, it } from "vitest";
import { facts, POOL } from "../fixtures.ts";
import type { PoolFacts } from "../ledger.ts";
import { type Create, createScene, many, tally } from "./scene.ts";

/** `p1`… in tier 0, `s1`… in `tier`. */
function tiersOf(first: number, second: number, more: Partial<PoolFacts> = {}, tier = 1): PoolFacts {
  const weights = { ...many("p", first), ...many("s", second) };
  const each = Object.fromEntries(Object.keys(many("s", second)).map((id) => [id, { priority: tier }]));
  return facts(weights, { policy: "round-robin", ...more }, each);
}

const byTier = (picks: (string | null)[]) => tally(picks.map((id) => id?.charAt(0) ?? null));

export function tiers(create: Create): void {
  describe("tiers", () => {
    const scene = createScene(create);
    const { configure, picks, fails, recovers, pool, effectiveWeights } = scene;
    const failFirst = (n: number) => fails(...Object.keys(many("p", n)));

    it("leave everything to the first while it is whole", async () => {
      await configure(tiersOf(3, 3));
      expect(byTier(await picks(30))).toEqual({ p: 30 });
      expect(await effectiveWeights()).toMatchObject({ p1: 1, s1: 0 });
    });

    it.each([
      { healthy: "72 %", of: 25, failing: 7, expected: { p: 200 } },
      { healthy: "50 %", of: 8, failing: 4, expected: { p: 140, s: 60 } },
      { healthy: "25 %", of: 8, failing: 6, expected: { p: 70, s: 130 } },
      { healthy: "0 %", of: 4, failing: 4, expected: { s: 200 } },
    ])("share the load by what is healthy of the first: $healthy", async ({ of, failing, expected }) => {
      await configure(tiersOf(of, 10));
      await failFirst(failing);
      expect((await pool()).panic).toBe(false);
      const shares = byTier(await picks(200));
      for (const [tier, n] of Object.entries(expected)) {
        expect(Math.abs((shares[tier] ?? 0) - n), `tier ${tier}`).toBeLessThanOrEqual(2);
      }
      expect(Object.keys(shares).sort()).toEqual(Object.keys(expected).sort());
    });

    it("share by connections in flight as by turns", async () => {
      await configure(tiersOf(8, 10, { policy: "least-connections" }));
      await failFirst(4);
      const shares = byTier(await picks(1_000));
      expect(shares.p).toBeGreaterThan(690);
      expect(shares.p).toBeLessThan(710);
    });

    it("keep weights within a tier", async () => {
      const weighted = tiersOf(2, 2);
      await configure({
        ...weighted,
        backends: weighted.backends.map((b) => (b.id === "s2" ? { ...b, weight: 3 } : b)),
      });
      await failFirst(2);
      expect(tally(await picks(40))).toEqual({ s1: 10, s2: 30 });
    });

    it("go on to a third where the first two lack", async () => {
      const backends = facts({ a: 1, b: 1, c: 1 }, {}, { b: { priority: 4 }, c: { priority: 9 } }).backends;
      await configure(facts({}, { backends }));
      expect(tally(await picks(3))).toEqual({ a: 3 });
      await fails("a");
      expect(tally(await picks(3))).toEqual({ b: 3 });
      await scene.ledger.setMode(POOL, "b", "draining");
      expect(tally(await picks(3))).toEqual({ c: 3 });
    });

    it("hand back to the first as it recovers", async () => {
      await configure(tiersOf(2, 2));
      await failFirst(2);
      expect(byTier(await picks(10))).toEqual({ s: 10 });
      await recovers("p1");
      expect(byTier(await picks(100)).p).toBe(70);
      await recovers("p2");
      expect(byTier(await picks(10))).toEqual({ p: 10 });
    });

    it("take a drained tier for none: the next one is first", async () => {
      await configure(tiersOf(2, 2));
      for (const id of ["p1", "p2"]) await scene.ledger.setMode(POOL, id, "draining");
      expect(byTier(await picks(10))).toEqual({ s: 10 });
    });

    it("need no panic while together they can carry the load", async () => {
      await configure(tiersOf(8, 2));
      await failFirst(8);
      expect((await pool()).panic).toBe(false);
      expect(byTier(await picks(10))).toEqual({ s: 10 });
    });

    it("share what is left where together they cannot, and panic is off", async () => {
      await configure(tiersOf(4, 4, { panicPercent: 0 }));
      await failFirst(3);
      await fails("s1", "s2", "s3");
      expect((await pool()).panic).toBe(false);
      expect(byTier(await picks(100))).toEqual({ p: 50, s: 50 });
      await fails("p4", "s4");
      expect(await picks(1)).toEqual([null]);
    });

    it("panic together below the threshold: then the unhealthy are used as well", async () => {
      await configure(tiersOf(4, 4));
      await failFirst(4);
      await fails("s1", "s2", "s3");
      expect((await pool()).panic).toBe(true);
      expect(await picks(100)).not.toContain(null);
    });

    it("panic with the shares that their health gives them: dead primaries get nothing while a backup lives", async () => {
      await configure(tiersOf(3, 2));
      await failFirst(3);
      await fails("s1");
      expect((await pool()).panic).toBe(true);
      expect(tally(await picks(10))).toEqual({ s1: 5, s2: 5 });
      await fails("s2");
      expect(byTier(await picks(9))).toEqual({ p: 9 });
    });

    it("take over in full, without slow start: they are needed at once", async () => {
      await configure(tiersOf(2, 2, { slowStartMs: 30_000 }));
      await failFirst(2);
      expect(await effectiveWeights()).toMatchObject({ s1: 1, s2: 1 });
    });

    it("follow a changed priority at once", async () => {
      await configure(tiersOf(2, 2));
      await configure(tiersOf(2, 2, {}, 0));
      expect(byTier(await picks(40))).toEqual({ p: 20, s: 20 });
    });
  });
}
