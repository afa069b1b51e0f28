// Rows and the counts that are their sums.
import { describe, expect, it } from "vitest";
import { facts, found, POOL, statement, wants } from "../fixtures.ts";
import { GATEWAY_TTL_MS } from "../ledger.ts";
import { type Create, createScene, tally } from "./scene.ts";

export function counting(create: Create): void {
  describe("counting", () => {
    const scene = createScene(create);
    const { configure, settle, state, holds, picks, counts, advance } = scene;
    const rows = () => scene.ledger.rows(POOL);

    it("answers null for a pool that was never configured", async () => {
      expect(await scene.ledger.settle("nowhere", [statement("g1", 1)])).toBeNull();
      expect(await scene.ledger.read("nowhere")).toBeNull();
      expect(await scene.ledger.observe("nowhere", [found("a", false)])).toBeNull();
      expect(await scene.ledger.setMode("nowhere", "a", "draining")).toBeNull();
    });

    it("counts a pick in the row of the gateway that wanted it, and in the shared count", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await picks(3, {}, "g1");
      await picks(1, {}, "g2");
      expect(await counts()).toEqual({ a: 2, b: 2 });
      expect(await rows()).toEqual({ g1: { a: 2, b: 1 }, g2: { b: 1 } });
    });

    it("takes what a gateway holds as absolute, so that saying it twice changes nothing", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await state({ held: { a: 5 } });
      await state({ held: { a: 5 } });
      expect(await counts()).toEqual({ a: 5, b: 0 });
      await state({ held: { a: 2, b: 1 } });
      expect(await counts()).toEqual({ a: 2, b: 1 });
    });

    it("leaves alone what a partial statement does not name", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ a: 5, b: 2 });
      await state({ held: { b: 0 } });
      expect(await rows()).toEqual({ g1: { a: 5 } });
    });

    it("takes what a full statement does not name as 0", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ a: 5, b: 2 });
      await holds({ b: 1 });
      expect(await counts()).toEqual({ a: 0, b: 1 });
      expect(await rows()).toEqual({ g1: { b: 1 } });
    });

    it("counts whatever the backends are called", async () => {
      const names = { constructor: 1, toString: 1, 10: 1, 9: 1, "A.b-c_d": 1 };
      await configure(facts(names));
      await holds({ constructor: 2, toString: 3, 10: 4 });
      expect(await counts()).toEqual({ constructor: 2, toString: 3, 10: 4, 9: 0, "A.b-c_d": 0 });
      await holds({ 9: 1 });
      expect(await rows()).toEqual({ g1: { 9: 1 } });
      expect(tally(await picks(4))).toEqual({ constructor: 1, toString: 1, 10: 1, "A.b-c_d": 1 });
    });

    it("refuses a statement that is older than or equal to one already applied", async () => {
      await configure(facts({ a: 1 }));
      await settle(statement("g1", 7, { full: true, held: { a: 3 } }));
      const late = await settle(statement("g1", 6, { held: { a: 9 }, wants: wants(2) }));
      const twice = await settle(statement("g1", 7, { held: { a: 9 }, wants: wants(1) }));
      expect(late).toEqual({ status: "stale", resync: false, picks: [null, null] });
      expect(twice).toEqual({ status: "stale", resync: false, picks: [null] });
      expect(await counts()).toEqual({ a: 3 });
    });

    it("lets only the newest of one gateway's statements in a call count", async () => {
      await configure(facts({ a: 1 }));
      const result = await scene.ledger.settle(POOL, [
        statement("g1", 1, { full: true, wants: wants(2) }),
        statement("g1", 2, { full: true, held: { a: 1 }, wants: wants(1) }),
      ]);
      expect(result?.replies.map((r) => r.status)).toEqual(["stale", "applied"]);
      expect(await counts()).toEqual({ a: 2 });
    });

    it("applies everything that one call says is held before it picks for anyone", async () => {
      await configure(facts({ a: 1, b: 1 }));
      const result = await scene.ledger.settle(POOL, [
        statement("g1", 1, { full: true, wants: wants(2) }),
        statement("g2", 1, { full: true, held: { a: 5 }, wants: wants(2) }),
      ]);
      expect(result?.replies.map(({ picks }) => picks)).toEqual([
        ["b", "b"],
        ["b", "b"],
      ]);
    });

    it("asks a gateway it does not know for its full row, and serves it meanwhile", async () => {
      await configure(facts({ a: 1 }));
      expect(await state({ full: false, wants: wants(1) })).toEqual({
        status: "applied",
        resync: true,
        picks: ["a"],
      });
      expect((await holds({ a: 4 })).resync).toBe(false);
      expect(await counts()).toEqual({ a: 4 });
    });

    it("asks for the full row when a partial statement does not follow the last one applied", async () => {
      await configure(facts({ a: 1 }));
      await settle(statement("g1", 1, { full: true, held: { a: 9 } }));
      // 2 to 6 were applied, and undone when Redis came back with older data
      expect((await settle(statement("g1", 7, { held: {} }))).resync).toBe(true);
      expect((await settle(statement("g1", 8, { full: true, held: { a: 1 } }))).resync).toBe(false);
      expect((await settle(statement("g1", 9))).resync).toBe(false);
      expect(await counts()).toEqual({ a: 1 });
    });

    it("sets a lost reply right with the next full statement", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await picks(10); // the reply never arrives: the gateway holds nothing of it
      await holds({});
      expect(await counts()).toEqual({ a: 0, b: 0 });
    });

    it("takes out the row of a gateway that has not settled for its time to live, and no other", async () => {
      await configure(facts({ a: 1 }));
      await holds({ a: 3 }, "g1");
      advance(GATEWAY_TTL_MS - 1);
      await holds({ a: 2 }, "g2");
      expect(await counts()).toEqual({ a: 5 });
      advance(1);
      expect(await counts()).toEqual({ a: 2 });
      expect(await rows()).toEqual({ g2: { a: 2 } });
      expect((await state({ held: { a: 3 } }, "g1")).resync).toBe(true);
    });

    it("takes out any number of dead gateways, if not all at once", async () => {
      await configure(facts({ a: 1 }));
      for (let i = 0; i < 150; i += 1) await holds({ a: 1 }, `gone-${i}`);
      advance(GATEWAY_TTL_MS);
      for (let i = 0; i < 5; i += 1) await scene.pool();
      expect(await counts()).toEqual({ a: 0 });
      expect(await rows()).toEqual({});
    });

    it("picks without what a dead gateway held, from the first settle on", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ a: 9 }, "g1");
      advance(GATEWAY_TTL_MS);
      expect(tally(await picks(4, {}, "g2"))).toEqual({ a: 2, b: 2 });
    });

    it("keeps the row of a gateway that is late, if it states before anyone notices", async () => {
      await configure(facts({ a: 1 }));
      await holds({ a: 3 });
      advance(2 * GATEWAY_TTL_MS);
      expect((await state()).resync).toBe(false);
      expect(await counts()).toEqual({ a: 3 });
    });

    it("keeps counting what is held on a backend that left the pool, until it is released", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ a: 1, b: 1 });
      await configure(facts({ a: 1 }));
      expect(await rows()).toEqual({ g1: { a: 1, b: 1 } });
      await state({ held: { b: 0 } });
      await configure(facts({ a: 1, b: 1 }));
      expect(await counts()).toEqual({ a: 1, b: 0 });
    });

    it("counts again what is still held on a backend that left and came back", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await holds({ b: 7 });
      await configure(facts({ a: 1 }));
      await configure(facts({ a: 1, b: 1 }));
      expect(await counts()).toEqual({ a: 0, b: 7 });
      expect(tally(await picks(7))).toEqual({ a: 7 });
    });
  });
}
