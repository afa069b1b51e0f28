// What probes, traffic and time make of a backend's health.
import { describe, expect, it } from "vitest";
import { facts, found, outcome, POOL } from "../fixtures.ts";
import { type Create, createScene, tally } from "./scene.ts";

const failures = (n: number) => outcome({ failure: n, failuresInRow: n });
const ok = outcome({ success: 1, latencyUs: 10 });

export function health(create: Create): void {
  describe("health", () => {
    const scene = createScene(create);
    const { configure, picks, probe, fails, reports, state, backend, counts, advance } = scene;

    it("takes a backend out after `fall` failed probes in a row and back after `rise` good ones", async () => {
      await configure(facts({ a: 1, b: 1 }));
      for (const ok of [false, false, true, false, false]) expect(await probe("a", ok)).toEqual([]);
      expect(await probe("a", false)).toEqual([
        { backend: "a", from: "healthy", to: "unhealthy", reason: "probe", detail: null },
      ]);
      expect(tally(await picks(2))).toEqual({ b: 2 });
      for (const ok of [true, false, true]) expect(await probe("a", ok)).toEqual([]);
      expect(await probe("a", true)).toEqual([
        { backend: "a", from: "unhealthy", to: "healthy", reason: "probe", detail: null },
      ]);
    });

    it("takes a backend out after `fall` traffic failures in a row over all gateways, before the next pick", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await reports({ a: failures(2) }, "g1");
      await reports({ a: ok }, "g2");
      await reports({ a: failures(2), ghost: failures(9) }, "g1");
      expect((await backend("a")).health).toBe("healthy");
      const reply = await state({ outcomes: { a: failures(1) }, wants: [{}, {}, {}] }, "g2");
      expect(reply.picks).toEqual(["b", "b", "b"]);
      expect(await backend("a")).toMatchObject({ health: "unhealthy", reason: "traffic", ready: false });
    });

    it("never holds canceled requests against a backend", async () => {
      await configure(facts({ a: 1 }));
      await reports({ a: outcome({ canceled: 50 }) });
      expect((await backend("a")).health).toBe("healthy");
    });

    it("returns a backend nobody has seen failing for holdMs on probation: one failure and it is out again", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await reports({ a: failures(3) });
      advance(9_999);
      expect((await backend("a")).health).toBe("unhealthy");
      advance(1);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation" });
      await reports({ a: failures(1) });
      expect(await backend("a")).toMatchObject({ health: "unhealthy", reason: "traffic" });
    });

    it("ignores what was found out about an address that the backend no longer has", async () => {
      await configure(facts({ a: 1, b: 1 }));
      const elsewhere = { ...found("a", false), url: "http://127.0.0.1:1" };
      for (let i = 0; i < 5; i += 1)
        expect(await scene.ledger.observe(POOL, [elsewhere])).toEqual({ transitions: [], doubtful: [] });
      expect((await backend("a")).health).toBe("healthy");
    });

    it("is not fooled for long by a clock that was set back", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await state({ held: { b: 4 }, outcomes: { a: failures(3) } });
      advance(-3_600_000);
      await scene.pool();
      advance(10_000);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probation" });
      expect(await counts()).toEqual({ a: 0, b: 0 });
    });

    it("keeps a backend out as long as probes go on failing", async () => {
      await configure(facts({ a: 1, b: 1 }));
      for (let i = 0; i < 10; i += 1) {
        await probe("a", false);
        advance(6_000);
      }
      expect((await backend("a")).health).toBe("unhealthy");
    });

    it("keeps health and mode through a new configuration, but not health through a new address", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await fails("a");
      await scene.ledger.setMode(POOL, "b", "draining");
      await configure(facts({ a: 5, b: 1 }));
      expect(await backend("a")).toMatchObject({ health: "unhealthy", weight: 5 });
      expect(await backend("b")).toMatchObject({ mode: "draining" });
      const moved = facts({ a: 5, b: 1 });
      moved.backends = moved.backends.map((b) => ({ ...b, url: `${b.url}0` }));
      await configure(moved);
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "initial" });
      expect(await backend("b")).toMatchObject({ mode: "draining" });
    });
  });
}
