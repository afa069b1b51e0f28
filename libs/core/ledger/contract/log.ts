// The pool's log: what happened, when, and under which version.
import { describe, expect, it } from "vitest";
import { facts, found, outcome, POOL } from "../fixtures.ts";
import { EVENTS_KEPT, MAX_NAMED } from "../ledger.ts";
import { type Create, createScene, many } from "./scene.ts";

export function log(create: Create): void {
  describe("the log", () => {
    const scene = createScene(create);
    const { configure, observe, log, pool, advance, reports, fails } = scene;
    const types = async () => (await log()).map(({ type }) => type);

    it("tells what happened to each backend, with its version and time", async () => {
      const version = await configure(facts({ a: 1, b: 1 }, { fall: 1 }));
      const atMs = (await scene.backend("a")).sinceMs;
      advance(1_000);
      await scene.ledger.setMode(POOL, "b", "draining");
      await scene.ledger.setMode(POOL, "b", "draining");
      await observe({
        ...found("a", false),
        detail: "status 503",
        agent: { weightPercent: 50, drain: false },
      });
      expect(await log()).toEqual([
        { ...{ version, atMs, type: "members", configVersion: 1, size: 2 }, joined: ["a", "b"], left: [] },
        {
          version: version + 1,
          atMs: atMs + 1_000,
          type: "mode",
          backend: "b",
          from: "active",
          to: "draining",
        },
        { ...at(version + 2, atMs), type: "agent", backend: "a", weightPercent: 50, drain: false },
        {
          ...{ ...at(version + 2, atMs), type: "health", backend: "a", from: "healthy", to: "unhealthy" },
          ...{ reason: "probe", detail: "status 503", ejections: 1 },
        },
        { ...at(version + 2, atMs), type: "panic", on: true },
      ]);
    });

    it("tells when panic is over, who returned unproven, and what no agent asks for any more", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }, { panicPercent: 100 }));
      await observe({ ...found("b", true), agent: { weightPercent: 100, drain: true } });
      await fails("a");
      advance(30_000);
      await pool();
      const events = (await log()).slice(3);
      expect(events).toMatchObject([
        { type: "panic", on: true },
        { type: "health", backend: "a", reason: "probation", to: "healthy", detail: null },
        { type: "agent", backend: "b", weightPercent: 100, drain: false },
        { type: "panic", on: false },
      ]);
    });

    it("has no gap in its versions, up to the present one", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }));
      await fails("a", "b");
      await scene.ledger.setMode(POOL, "c", "disabled");
      await configure(facts({ b: 1, c: 2 }));
      await configure(facts({ b: 1, c: 2 }));
      advance(10_000);
      await reports({ c: outcome({ failure: 3, failuresInRow: 3 }) });
      const versions = [...new Set((await log()).map(({ version }) => version))];
      expect(versions).toEqual(versions.map((_, i) => (versions[0] as number) + i));
      expect(versions.at(-1)).toBe((await pool()).version);
    });

    it("names who joined, moved or left, some of many", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }));
      await configure(facts({ d: 1, b: 1, c: 1, a: 1 }, {}, { b: { url: "http://127.0.0.1:1" } }));
      await configure(facts(many("x", 20)));
      const [, second, third] = await log();
      const moved = ["a", "b"]; // by their places, and so their ports
      expect(second).toMatchObject({ size: 4, configVersion: 2, joined: [...moved, "d"], left: [] });
      expect(third).toMatchObject({ size: 20, left: ["a", "b", "c", "d"] });
      expect(third?.type === "members" && third.joined).toHaveLength(MAX_NAMED);
    });

    it("is read on from any of its entries, so many at a time", async () => {
      await configure(facts({ a: 1, b: 1 }));
      for (const mode of ["draining", "active", "disabled"] as const)
        await scene.ledger.setMode(POOL, "a", mode);
      const first = await scene.ledger.events(POOL, null, 3);
      const rest = await scene.ledger.events(POOL, first[2]?.id ?? null, 3);
      expect([first.length, rest.length]).toEqual([3, 1]);
      expect([...first, ...rest].map(({ event }) => event)).toEqual(await log());
      expect(await scene.ledger.events(POOL, rest[0]?.id ?? null, 3)).toEqual([]);
      expect(await scene.ledger.events("nobody", null, 3)).toEqual([]);
    });

    it("can still be read when the pool is removed, and goes on when it is made anew", async () => {
      await configure(facts({ a: 1 }));
      await scene.ledger.remove(POOL, 1);
      expect(await types()).toEqual(["members"]);
      advance(1_000);
      await configure(facts({ a: 1, b: 1 }));
      expect(await types()).toEqual(["members", "members"]);
    });

    it("keeps about as many entries as it shall, the last ones", async () => {
      await configure(facts(many("x", 600)));
      for (const mode of ["draining", "active"] as const) {
        for (let i = 1; i <= 600; i += 1) await scene.ledger.setMode(POOL, `x${i}`, mode);
      }
      const events = await scene.ledger.events(POOL, null, 10_000);
      expect(events.length).toBeGreaterThanOrEqual(EVENTS_KEPT);
      expect(events.length).toBeLessThan(EVENTS_KEPT + 200);
      expect(events.at(-1)?.event).toMatchObject({ backend: "x600", to: "active" });
    });
  });
}

const at = (version: number, startedMs: number) => ({ version, atMs: startedMs + 1_000 });
