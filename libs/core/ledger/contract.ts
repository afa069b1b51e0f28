// The contract of every ledger, as tests: run by the model's own test and by the Redis ledger's.
import { beforeEach, describe, expect, it } from "vitest";
import { facts, found, outcome, POOL, statement, wants } from "./fixtures.ts";
import { GATEWAY_TTL_MS, type Ledger, type Statement } from "./ledger.ts";

export interface Subject {
  ledger: Ledger;
  /** Moves the clock the ledger sees. */
  advance(ms: number): void;
}

const failures = (n: number) => outcome({ failure: n, failuresInRow: n });

export function ledgerContract(name: string, create: () => Promise<Subject>): void {
  describe(`${name} keeps the ledger's contract`, () => {
    let ledger: Ledger;
    let advance: Subject["advance"];

    beforeEach(async () => {
      ({ ledger, advance } = await create());
    });

    const settle = async (s: Statement) => {
      const result = await ledger.settle(POOL, [s]);
      const reply = result?.replies[0];
      if (!reply) throw new Error("the pool is not known");
      return reply;
    };
    const pickAll = async (gateway: string, seq: number, n: number) =>
      (await settle(statement(gateway, seq, { full: seq === 1, wants: wants(n) }))).picks;
    const counts = async () =>
      Object.fromEntries(((await ledger.read(POOL))?.backends ?? []).map((b) => [b.id, b.inflight]));
    const backend = async (id: string) => {
      const found = (await ledger.read(POOL))?.backends.find((b) => b.id === id);
      if (!found) throw new Error(`no backend ${id}`);
      return found;
    };
    const tally = (picks: (string | null)[]) => {
      const sum: Record<string, number> = {};
      for (const id of picks) sum[String(id)] = (sum[String(id)] ?? 0) + 1;
      return sum;
    };

    describe("counting", () => {
      it("answers null for a pool that was never configured", async () => {
        expect(await ledger.settle("nowhere", [statement("g1", 1)])).toBeNull();
        expect(await ledger.read("nowhere")).toBeNull();
        expect(await ledger.observe("nowhere", [found("a", false)])).toBeNull();
        expect(await ledger.setMode("nowhere", "a", "draining")).toBeNull();
      });

      it("counts a pick in the row of the gateway that wanted it, and in the shared count", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await pickAll("g1", 1, 3);
        await pickAll("g2", 1, 1);
        expect(await counts()).toEqual({ a: 2, b: 2 });
        expect(await ledger.rows(POOL)).toEqual({ g1: { a: 2, b: 1 }, g2: { b: 1 } });
      });

      it("takes what a gateway holds as absolute, so that saying it twice changes nothing", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 5 } }));
        await settle(statement("g1", 2, { held: { a: 5 } }));
        expect(await counts()).toEqual({ a: 5, b: 0 });
        await settle(statement("g1", 3, { held: { a: 2, b: 1 } }));
        expect(await counts()).toEqual({ a: 2, b: 1 });
      });

      it("takes what a full statement does not name as 0", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 5, b: 2 } }));
        await settle(statement("g1", 2, { full: true, held: { b: 1 } }));
        expect(await counts()).toEqual({ a: 0, b: 1 });
        expect(await ledger.rows(POOL)).toEqual({ g1: { b: 1 } });
      });

      it("refuses a statement that is older than or equal to one already applied", async () => {
        await ledger.configure(facts({ a: 1 }));
        await settle(statement("g1", 7, { full: true, held: { a: 3 } }));
        const late = await settle(statement("g1", 6, { held: { a: 9 }, wants: wants(2) }));
        const twice = await settle(statement("g1", 7, { held: { a: 9 }, wants: wants(1) }));
        expect(late).toEqual({ status: "stale", resync: false, picks: [null, null] });
        expect(twice).toEqual({ status: "stale", resync: false, picks: [null] });
        expect(await counts()).toEqual({ a: 3 });
      });

      it("lets only the newest of one gateway's statements in a batch count", async () => {
        await ledger.configure(facts({ a: 1 }));
        const result = await ledger.settle(POOL, [
          statement("g1", 1, { full: true, wants: wants(2) }),
          statement("g1", 2, { full: true, held: { a: 1 }, wants: wants(1) }),
        ]);
        expect(result?.replies.map((r) => r.status)).toEqual(["stale", "applied"]);
        expect(await counts()).toEqual({ a: 2 });
      });

      it("asks a gateway it does not know for its full row, and serves it meanwhile", async () => {
        await ledger.configure(facts({ a: 1 }));
        expect(await settle(statement("g1", 1, { wants: wants(1) }))).toEqual({
          status: "applied",
          resync: true,
          picks: ["a"],
        });
        expect((await settle(statement("g1", 2, { full: true, held: { a: 4 } }))).resync).toBe(false);
        expect(await counts()).toEqual({ a: 4 });
      });

      it("asks for the full row when a partial statement does not follow the last one applied", async () => {
        await ledger.configure(facts({ a: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 9 } }));
        // 2 to 6 were applied, and undone when Redis came back with older data
        expect((await settle(statement("g1", 7, { held: {} }))).resync).toBe(true);
        expect((await settle(statement("g1", 8, { full: true, held: { a: 1 } }))).resync).toBe(false);
        expect((await settle(statement("g1", 9))).resync).toBe(false);
        expect(await counts()).toEqual({ a: 1 });
      });

      it("sets a lost reply right with the next full statement", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await pickAll("g1", 1, 10); // the reply never arrives: the gateway holds nothing of it
        await settle(statement("g1", 2, { full: true, held: {} }));
        expect(await counts()).toEqual({ a: 0, b: 0 });
      });

      it("takes out the row of a gateway that has not settled for its time to live, and no other", async () => {
        await ledger.configure(facts({ a: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 3 } }));
        advance(GATEWAY_TTL_MS - 1);
        await settle(statement("g2", 1, { full: true, held: { a: 2 } }));
        expect(await counts()).toEqual({ a: 5 });
        advance(1);
        expect(await counts()).toEqual({ a: 2 });
        expect(await ledger.rows(POOL)).toEqual({ g2: { a: 2 } });
        expect((await settle(statement("g1", 2, { held: { a: 3 } }))).resync).toBe(true);
      });

      it("keeps counting what is held on a backend that left the pool, until it is released", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 1, b: 1 } }));
        await ledger.configure(facts({ a: 1 }, { configVersion: 2 }));
        expect(await ledger.rows(POOL)).toEqual({ g1: { a: 1, b: 1 } });
        await settle(statement("g1", 2, { held: { b: 0 } }));
        await ledger.configure(facts({ a: 1, b: 1 }, { configVersion: 3 }));
        expect(await counts()).toEqual({ a: 1, b: 0 });
      });
    });

    describe("least-connections", () => {
      it("spreads picks in proportion to the weights", async () => {
        await ledger.configure(facts({ a: 1, b: 2, c: 3 }));
        expect(tally(await pickAll("g1", 1, 60))).toEqual({ a: 10, b: 20, c: 30 });
      });

      it("fills up where something was released", async () => {
        await ledger.configure(facts({ a: 1, b: 2, c: 3 }));
        await pickAll("g1", 1, 60);
        const reply = await settle(statement("g1", 2, { held: { a: 7 }, wants: wants(3) }));
        expect(reply.picks).toEqual(["a", "a", "a"]);
      });

      it("gives ties to the least recently picked, not to the first by name", async () => {
        await ledger.configure(facts({ a: 1, b: 1, c: 1 }));
        const order: (string | null)[] = [];
        for (let seq = 1; seq <= 6; seq += 1) {
          order.push(...(await settle(statement("g1", seq, { full: true, wants: wants(1) }))).picks);
        }
        expect(order).toEqual(["a", "b", "c", "a", "b", "c"]);
      });
    });

    describe("round-robin", () => {
      it("takes turns in proportion to the weights, whatever is in flight", async () => {
        await ledger.configure(facts({ a: 1, b: 2, c: 3 }, { policy: "round-robin" }));
        await settle(statement("g1", 1, { full: true, held: { a: 0, c: 1_000 } }));
        expect(tally(await pickAll("g1", 2, 60))).toEqual({ a: 10, b: 20, c: 30 });
      });

      it("lets a newcomer take its turn from now on, not the turns it missed", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }, { policy: "round-robin" }));
        await pickAll("g1", 1, 1_000);
        await ledger.configure(facts({ a: 1, b: 1, c: 1 }, { policy: "round-robin", configVersion: 2 }));
        expect(tally(await pickAll("g1", 2, 30))).toEqual({ a: 10, b: 10, c: 10 });
      });

      it("changes the rate when a weight changes, without catching up", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }, { policy: "round-robin" }));
        await pickAll("g1", 1, 1_000);
        await ledger.configure(facts({ a: 3, b: 1 }, { policy: "round-robin", configVersion: 2 }));
        expect(tally(await pickAll("g1", 2, 40))).toEqual({ a: 30, b: 10 });
      });
    });

    describe("eligibility", () => {
      it("never picks what a want excludes, and answers null when nothing is left", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        const reply = await settle(
          statement("g1", 1, {
            full: true,
            wants: [...wants(2, ["a"]), ...wants(1, ["a", "b"]), ...wants(1)],
          }),
        );
        expect(reply.picks).toEqual(["b", "b", null, "a"]);
        expect(await counts()).toEqual({ a: 1, b: 2 });
      });

      it("never picks a backend that has maxInflight in flight", async () => {
        const capped = facts({ a: 1, b: 1 });
        capped.backends = capped.backends.map((b) => ({ ...b, maxInflight: 2 }));
        await ledger.configure(capped);
        expect(tally(await pickAll("g1", 1, 6))).toEqual({ a: 2, b: 2, null: 2 });
        const reply = await settle(statement("g1", 2, { held: { b: 1 }, wants: wants(2) }));
        expect(reply.picks).toEqual(["b", null]);
      });

      it("never picks a draining or disabled backend, and picks it again once active", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        expect(await ledger.setMode(POOL, "a", "draining")).toBe(true);
        expect(await ledger.setMode(POOL, "nobody", "draining")).toBe(false);
        expect(tally(await pickAll("g1", 1, 4))).toEqual({ b: 4 });
        expect(await backend("a")).toMatchObject({ mode: "draining", health: "healthy", ready: false });
        await ledger.setMode(POOL, "a", "active");
        expect(tally(await pickAll("g1", 2, 4))).toEqual({ a: 4 });
      });

      it("uses every active backend when more than half of them are unhealthy, and says so", async () => {
        await ledger.configure(facts({ a: 1, b: 1, c: 1, d: 1 }));
        await ledger.setMode(POOL, "d", "disabled");
        const fail = async (id: string) => {
          for (let i = 0; i < 3; i += 1) await ledger.observe(POOL, [found(id, false)]);
        };
        await fail("a");
        expect((await ledger.read(POOL))?.panic).toBe(false);
        expect(tally(await pickAll("g1", 1, 4))).toEqual({ b: 2, c: 2 });
        await fail("b");
        expect((await ledger.read(POOL))?.panic).toBe(true);
        expect(tally((await settle(statement("g1", 2, { full: true, wants: wants(6) }))).picks)).toEqual({
          a: 2,
          b: 2,
          c: 2,
        });
        await ledger.observe(POOL, [found("a", true)]);
        await ledger.observe(POOL, [found("a", true)]);
        expect((await ledger.read(POOL))?.panic).toBe(false);
      });
    });

    describe("health", () => {
      it("takes a backend out after `fall` failed probes in a row and back after `rise` good ones", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        const probe = (ok: boolean) => ledger.observe(POOL, [found("a", ok)]);
        for (const ok of [false, false, true, false, false]) expect(await probe(ok)).toEqual([]);
        expect(await probe(false)).toEqual([
          { backend: "a", from: "healthy", to: "unhealthy", reason: "probe" },
        ]);
        expect(tally(await pickAll("g1", 1, 2))).toEqual({ b: 2 });
        for (const ok of [true, false, true]) expect(await probe(ok)).toEqual([]);
        expect(await probe(true)).toEqual([
          { backend: "a", from: "unhealthy", to: "healthy", reason: "probe" },
        ]);
      });

      it("takes a backend out after `fall` traffic failures in a row over all gateways, before the next pick", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, outcomes: { a: failures(2) } }));
        await settle(
          statement("g2", 1, { full: true, outcomes: { a: outcome({ success: 1, latencyUs: 10 }) } }),
        );
        await settle(statement("g1", 2, { outcomes: { a: failures(2), ghost: failures(9) } }));
        expect((await backend("a")).health).toBe("healthy");
        const reply = await settle(statement("g2", 2, { outcomes: { a: failures(1) }, wants: wants(3) }));
        expect(reply.picks).toEqual(["b", "b", "b"]);
        expect(await backend("a")).toMatchObject({ health: "unhealthy", reason: "traffic", ready: false });
      });

      it("never holds canceled requests against a backend", async () => {
        await ledger.configure(facts({ a: 1 }));
        await settle(statement("g1", 1, { full: true, outcomes: { a: outcome({ canceled: 50 }) } }));
        expect((await backend("a")).health).toBe("healthy");
      });

      it("returns a backend nobody has seen failing for holdMs on probation: one failure and it is out again", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, outcomes: { a: failures(3) } }));
        advance(9_999);
        expect((await backend("a")).health).toBe("unhealthy");
        advance(1);
        expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation" });
        await settle(statement("g1", 2, { full: true, outcomes: { a: failures(1) } }));
        expect(await backend("a")).toMatchObject({ health: "unhealthy", reason: "traffic" });
      });

      it("ignores what was found out about an address that the backend no longer has", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        const elsewhere = { ...found("a", false), url: "http://127.0.0.1:1" };
        for (let i = 0; i < 5; i += 1) expect(await ledger.observe(POOL, [elsewhere])).toEqual([]);
        expect((await backend("a")).health).toBe("healthy");
      });

      it("is not fooled for long by a clock that was set back", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, held: { b: 4 }, outcomes: { a: failures(3) } }));
        advance(-3_600_000);
        await ledger.read(POOL);
        advance(10_000);
        expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation" });
        expect(await counts()).toEqual({ a: 0, b: 0 });
      });

      it("keeps a backend out as long as probes go on failing", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        for (let i = 0; i < 10; i += 1) {
          await ledger.observe(POOL, [found("a", false)]);
          advance(6_000);
        }
        expect((await backend("a")).health).toBe("unhealthy");
      });

      it("keeps health and mode through a new configuration, but not through a new address", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        for (let i = 0; i < 3; i += 1) await ledger.observe(POOL, [found("a", false)]);
        await ledger.setMode(POOL, "b", "draining");
        await ledger.configure(facts({ a: 5, b: 1 }, { configVersion: 2 }));
        expect(await backend("a")).toMatchObject({ health: "unhealthy", weight: 5 });
        expect(await backend("b")).toMatchObject({ mode: "draining" });
        const moved = facts({ a: 5, b: 1 }, { configVersion: 3 });
        moved.backends = moved.backends.map((b) => ({ ...b, url: `${b.url}0` }));
        await ledger.configure(moved);
        expect(await backend("a")).toMatchObject({ health: "healthy", reason: "initial" });
      });
    });

    describe("versions", () => {
      it("raises the version with every change of who may be picked, and only then", async () => {
        const first = await ledger.configure(facts({ a: 1, b: 1 }));
        const version = async () => (await ledger.read(POOL))?.version;
        await pickAll("g1", 1, 5);
        await ledger.observe(POOL, [found("a", false)]);
        expect(await version()).toBe(first);
        await ledger.setMode(POOL, "a", "draining");
        await ledger.setMode(POOL, "a", "draining");
        expect(await version()).toBe(first + 1);
      });

      it("ignores a configuration it already has, or an older one", async () => {
        const version = await ledger.configure(facts({ a: 1 }, { configVersion: 5 }));
        expect(await ledger.configure(facts({ b: 1 }, { configVersion: 5 }))).toBe(version);
        expect(await ledger.configure(facts({ b: 1 }, { configVersion: 4 }))).toBe(version);
        expect(Object.keys(await counts())).toEqual(["a"]);
      });

      it("changes the policy of a live pool without losing a count", async () => {
        await ledger.configure(facts({ a: 1, b: 1 }));
        await settle(statement("g1", 1, { full: true, held: { a: 4, b: 1 } }));
        await ledger.configure(facts({ a: 1, b: 1 }, { configVersion: 2, policy: "round-robin" }));
        expect(tally(await pickAll("g1", 2, 4))).toEqual({ a: 2, b: 2 });
        await ledger.configure(facts({ a: 1, b: 1 }, { configVersion: 3 }));
        expect(tally(await pickAll("g1", 3, 3))).toEqual({ b: 3 });
        expect(await counts()).toEqual({ a: 6, b: 6 });
      });

      it("does not remove a pool that a newer configuration has made again", async () => {
        await ledger.configure(facts({ a: 1 }, { configVersion: 3 }));
        await ledger.remove(POOL, 2);
        expect(await ledger.read(POOL)).not.toBeNull();
      });

      it("forgets a removed pool", async () => {
        await ledger.configure(facts({ a: 1 }));
        await pickAll("g1", 1, 1);
        await ledger.remove(POOL, 1);
        expect(await ledger.read(POOL)).toBeNull();
        expect(await ledger.rows(POOL)).toEqual({});
      });
    });

    it("keeps an exponentially weighted mean of the time to first byte", async () => {
      await ledger.configure(facts({ a: 1 }));
      expect((await backend("a")).ewmaMs).toBeNull();
      const report = (seq: number, success: number, latencyUs: number) =>
        settle(statement("g1", seq, { full: true, outcomes: { a: outcome({ success, latencyUs }) } }));
      await report(1, 1, 8_000);
      expect((await backend("a")).ewmaMs).toBe(8);
      await report(2, 8, 16_000);
      expect((await backend("a")).ewmaMs).toBe(12);
    });
  });
}
