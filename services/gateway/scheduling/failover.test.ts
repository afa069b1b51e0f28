import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { createFailover } from "./failover.ts";

const pool = (name: string, failoverTo: string | null, more: Partial<PoolDocument> = {}) =>
  resolvePool({ name, backends: [], ...(failoverTo === null ? {} : { failoverTo }), ...more });

const AT_ONCE = { slowStart: { windowMs: 0 } };

function setUp(pools = [pool("a", "b", AT_ONCE), pool("b", "c", AT_ONCE), pool("c", null)]) {
  const clock = { nowMs: 1_000 };
  const unable = new Set<string>();
  const changes: unknown[][] = [];
  const counted: Record<string, number> = {};
  const failover = createFailover({
    able: (name) => !unable.has(name),
    clock: () => clock.nowMs,
    random: seeded(3),
    observer: {
      changed: ({ name }, to, able) => changes.push([name, to, able]),
      failedOver: (from, to) => {
        counted[`${from} ${to}`] = (counted[`${from} ${to}`] ?? 0) + 1;
      },
      keep() {},
    },
  });
  failover.configure(pools);
  const set = (...names: string[]) => {
    unable.clear();
    for (const name of names) unable.add(name);
    failover.changed();
  };
  return { clock, failover, set, changes, counted };
}

const slow = { slowStart: { windowMs: 10_000, fromPercent: 10 } };

describe("a pool that names another one", () => {
  it("is served by itself while it can, and by the first on its way that can while it cannot", () => {
    const { failover, set, changes, counted } = setUp();
    expect(failover.serving("a")).toBe("a");
    set("a");
    expect([failover.serving("a"), failover.away("a")]).toEqual(["b", "b"]);
    set("a", "b");
    expect([failover.serving("a"), failover.serving("b"), failover.serving("c")]).toEqual(["c", "c", "c"]);
    set();
    expect([failover.serving("a"), failover.away("a")]).toEqual(["a", null]);
    expect(changes).toEqual([
      ["a", "b", false],
      ["a", "c", false],
      ["b", "c", false],
      ["a", null, true],
      ["b", null, true],
    ]);
    expect(counted).toEqual({ "a b": 1, "a c": 1, "b c": 1 });
  });

  it("keeps its requests while nobody on its way is better", () => {
    const { failover, set, changes } = setUp();
    set("a", "b", "c");
    expect([failover.serving("a"), failover.away("a")]).toEqual(["a", null]);
    expect(changes).toEqual([]);
    set("a", "b");
    set("a", "b", "c");
    expect(changes.slice(-2)).toEqual([
      ["a", null, false],
      ["b", null, false],
    ]);
  });

  it("has somebody for a single request that nobody of its own may take", () => {
    const { failover, set, counted } = setUp();
    expect([failover.after("a"), failover.after("b"), failover.after("c")]).toEqual(["b", "c", null]);
    set("b");
    expect([failover.after("a"), failover.serving("a")]).toEqual(["c", "a"]);
    expect(counted).toEqual({ "a b": 1, "b c": 1, "a c": 1 });
    set("a", "b", "c"); // better somebody in trouble than nobody
    expect(failover.after("a")).toBe("b");
  });

  it("gets its requests back as its slow start lets it, from the configured share to all of them", () => {
    const { clock, failover, set } = setUp([pool("a", "b", slow), pool("b", null)]);
    set("a");
    set();
    const shares = [0, 2_500, 5_000, 9_000, 10_000].map((afterMs) => {
      clock.nowMs = 1_000 + afterMs;
      let home = 0;
      for (let i = 0; i < 2_000; i += 1) if (failover.serving("a") === "a") home += 1;
      return home / 2_000;
    });
    const wanted = [0.1, 0.25, 0.5, 0.9, 1];
    for (const [i, share] of shares.entries())
      expect(Math.abs(share - (wanted[i] as number))).toBeLessThan(0.04);
    expect(shares[4]).toBe(1);
  });

  it("begins its return anew when it fails during it, and has all at once where the other one fails then", () => {
    const { clock, failover, set } = setUp([pool("a", "b", slow), pool("b", null)]);
    set("a");
    set();
    clock.nowMs += 9_000;
    set("a");
    expect(failover.serving("a")).toBe("b");
    set();
    const home = Array.from({ length: 1_000 }, () => failover.serving("a")).filter((name) => name === "a");
    expect(home.length).toBeLessThan(150);
    set("b");
    expect(Array.from({ length: 50 }, () => failover.serving("a")).every((name) => name === "a")).toBe(true);
  });

  it("is not slowed down where it never was away", () => {
    const { failover, set } = setUp([pool("a", "b", slow), pool("b", null)]);
    set("a", "b");
    set();
    expect(Array.from({ length: 50 }, () => failover.serving("a")).every((name) => name === "a")).toBe(true);
  });

  it("follows a new configuration: another pool, or none", () => {
    const { failover, set } = setUp([pool("a", "b"), pool("b", null), pool("c", null)]);
    set("a");
    failover.configure([pool("a", "c"), pool("b", null), pool("c", null)]);
    expect(failover.serving("a")).toBe("c");
    failover.configure([pool("a", null), pool("b", null), pool("c", null)]);
    expect([failover.serving("a"), failover.after("a"), failover.away("a")]).toEqual(["a", null, null]);
  });

  it("comes to an end where a configuration goes round in a circle or names nobody", () => {
    const { failover, set } = setUp([pool("a", "b"), pool("b", "a"), pool("c", "d")]);
    set("a", "b", "c");
    expect([failover.serving("a"), failover.serving("b"), failover.serving("c")]).toEqual(["a", "b", "c"]);
    set("a");
    expect(failover.serving("a")).toBe("b");
  });
});
