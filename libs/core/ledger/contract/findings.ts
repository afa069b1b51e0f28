// What monitors tell: in words, of which probe, and what they are told in return; and backends that are new.
import { describe, expect, it } from "vitest";
import { facts, found, POOL } from "../fixtures.ts";
import { type Create, createScene } from "./scene.ts";

export function findings(create: Create): void {
  describe("findings", () => {
    const scene = createScene(create);
    const { configure, observe, backend, advance, reports, fails, recovers, pool } = scene;
    const nowMs = async () => (await backend("b")).sinceMs;
    const bad = (more: object = {}) => ({ ...found("a", false), ...more });

    it("say what was seen, which is kept and told with what it caused", async () => {
      await configure(facts({ a: 1, b: 1 }, { fall: 2 }));
      await observe(bad({ detail: "timeout" }));
      expect((await backend("a")).detail).toBe("timeout");
      const { transitions } = await observe(bad({ detail: "status 503" }));
      expect(transitions).toMatchObject([{ backend: "a", to: "unhealthy", detail: "status 503" }]);
      expect((await backend("a")).detail).toBe("status 503");
      await observe({ ...found("a", true), detail: "status 200" });
      await observe({ ...found("a", true), detail: "status 204" });
      expect(await backend("a")).toMatchObject({ health: "healthy", detail: "status 204" });
    });

    it("are cut where they say too much, whatever they say", async () => {
      await configure(facts({ a: 1 }));
      for (const text of [`${"x".repeat(119)}🙂`, '%d \\ " / \u0000', "é".repeat(500)]) {
        await observe(bad({ detail: text }));
        expect((await backend("a")).detail).toBe(text.slice(0, 120).toWellFormed());
      }
    });

    it("of a probe that was due no later than the last one count for nothing", async () => {
      await configure(facts({ a: 1, b: 1 }));
      const atMs = await nowMs();
      advance(10_000);
      for (const due of [1_000, 1_000, 2_000, 1_500, 2_000, 500]) {
        const metrics = { cpu: due };
        expect((await observe(bad({ dueMs: atMs + due, metrics }))).transitions).toEqual([]);
      }
      expect(await backend("a")).toMatchObject({ metrics: { cpu: 2_000 }, probedMs: atMs + 2_000 });
      expect((await observe(bad({ dueMs: atMs + 2_001 }))).transitions).toHaveLength(1);
    });

    it("of a monitor whose clock is ahead do not make those of others count for nothing", async () => {
      await configure(facts({ a: 1, b: 1 }));
      const atMs = await nowMs();
      await observe(bad({ dueMs: atMs + 3_600_000 }));
      advance(1_000);
      await observe(bad({ dueMs: atMs + 1_000 }));
      expect((await observe(bad({ dueMs: atMs + 1_001 }))).transitions).toHaveLength(1);
    });

    it("count again after a clock was set back", async () => {
      await configure(facts({ a: 1, b: 1 }, { fall: 2 }));
      const atMs = await nowMs();
      await observe(bad({ dueMs: atMs }));
      advance(-3_600_000);
      await pool();
      expect((await observe(bad({ dueMs: atMs - 3_599_000 }))).transitions).toHaveLength(1);
    });

    it("start anew with the address", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await observe(bad({ dueMs: await nowMs(), detail: "status 503" }));
      await configure(facts({ a: 1, b: 1 }, {}, { a: { url: "http://127.0.0.1:1" } }));
      expect(await backend("a")).toMatchObject({ probedMs: null, detail: null });
    });

    it("are answered with those whose health the next ones may change", async () => {
      await configure(facts({ a: 1, b: 1, c: 1 }));
      expect((await observe(bad(), found("b", true))).doubtful).toEqual(["a"]);
      expect((await observe(found("b", false), bad())).doubtful).toEqual(["b", "a"]);
      expect((await observe(bad())).doubtful).toEqual([]);
      expect((await observe(found("a", true), found("c", true))).doubtful).toEqual(["a"]);
      expect((await observe(found("a", true))).doubtful).toEqual([]);
    });

    it("are answered without those that are kept out for some time anyway", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await fails("a");
      await recovers("a");
      await fails("a");
      expect((await observe(found("a", true))).doubtful).toEqual([]);
      advance(10_000);
      expect((await observe(bad(), found("a", true))).doubtful).toEqual(["a"]);
    });

    it("doubt a backend on probation", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await fails("a");
      advance(10_000);
      expect(await backend("a")).toMatchObject({ reason: "probation", detail: null });
      expect((await observe(bad({ url: "elsewhere" }))).doubtful).toEqual([]);
      expect((await observe(bad({ detail: "status 500" }))).transitions).toMatchObject([
        { detail: "status 500", reason: "probe" },
      ]);
    });

    it("are waited for where new backends start unhealthy, but not for ever", async () => {
      await configure(facts({ a: 1, b: 1 }, { initial: "unhealthy", panicPercent: 0 }));
      expect(await backend("a")).toMatchObject({ health: "unhealthy", reason: "initial", ejections: 0 });
      await recovers("a");
      expect(await backend("a")).toMatchObject({ health: "healthy", reason: "probe", ejections: 0 });
      await reports({ a: { success: 0, failure: 3, canceled: 0, failuresInRow: 3, latencyUs: 0 } });
      expect(await backend("a")).toMatchObject({ ejections: 1, detail: "3 failures in a row" });
      advance(10_000);
      expect(await backend("b")).toMatchObject({ health: "healthy", reason: "probation" });
      expect(await scene.ledger.observe("nobody", [])).toBeNull();
      expect(await scene.ledger.observe(POOL, [])).toEqual({ transitions: [], doubtful: [] });
    });
  });
}
