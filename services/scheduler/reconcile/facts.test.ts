import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it } from "vitest";
import { poolFacts } from "./facts.ts";

const BACKEND = { id: "a", url: "http://10.0.0.1:8080" };

describe("what the ledger is told of a pool", () => {
  it("is every setting of scheduling, under the ledger's names", () => {
    const pool = resolvePool(
      {
        name: "shop",
        policy: "criteria",
        criteria: [{ name: "distance", weight: 2 }],
        panicPercent: 30,
        slowStart: { windowMs: 5_000, fromPercent: 20 },
        backends: [
          { ...BACKEND, weight: 3, zone: "eu", maxInflight: 9, slots: 4, priority: 1, cost: 0.5 },
          { id: "b", url: "http://10.0.0.2:8080", zone: "us" },
        ],
      },
      { zones: [{ name: "eu" }, { name: "us" }], distances: [{ between: ["eu", "us"], distance: 60 }] },
    );
    expect(poolFacts(pool, 7)).toMatchObject({
      pool: "shop",
      configVersion: 7,
      policy: "criteria",
      panicPercent: 30,
      slowStartMs: 5_000,
      slowStartPercent: 20,
      criteria: [{ name: "distance", weight: 2, scale: 60 }],
      distances: { eu: { eu: 0, us: 60 }, us: { eu: 60, us: 0 } },
      backends: [
        { id: "b" },
        { ...BACKEND, weight: 3, zone: "eu", maxInflight: 9, slots: 4, priority: 1, cost: 0.5 },
      ],
    });
  });

  it("is how its backends are judged: an outage lasts three probes at least, and longer each time up to a bound", () => {
    const of = (more: object) => poolFacts(resolvePool({ name: "shop", backends: [BACKEND], ...more }), 1);
    expect(of({})).toMatchObject({
      ...{ rise: 2, fall: 3, failures: 3, holdMs: 10_000, maxHoldMs: 300_000, initial: "healthy" },
      ...{ failurePercent: 50, windowMs: 10_000, minRequests: 20, maxEjectPercent: 100 },
    });
    const health = { protocol: "http", intervalMs: 200_000, fall: 5, initial: "unhealthy" };
    expect(of({ health, eject: { maxPercent: 30 } })).toMatchObject({
      ...{
        fall: 5,
        failures: 5,
        holdMs: 600_000,
        maxHoldMs: 600_000,
        initial: "unhealthy",
        maxEjectPercent: 30,
      },
    });
    expect(of({ ejectMs: 5_000, eject: { maxMs: 60_000, failures: 7 } })).toMatchObject({
      ...{ holdMs: 5_000, maxHoldMs: 60_000, failures: 7 },
    });
  });

  it("is the backends in the order of their tiers, within one as they are written", () => {
    const at = (id: string, port: number, priority: number) => ({
      id,
      url: `http://10.0.0.1:${port}`,
      priority,
    });
    const backends = [at("spare", 1, 1), at("one", 2, 0), at("two", 3, 0)];
    expect(poolFacts(resolvePool({ name: "shop", backends }), 1).backends.map(({ id }) => id)).toEqual([
      "one",
      "two",
      "spare",
    ]);
  });

  it("is what policy hash and geo need, with their own settings or the defaults", () => {
    const of = (more: object) => poolFacts(resolvePool({ name: "shop", backends: [BACKEND], ...more }), 1);
    expect(of({})).toMatchObject({ hashBound: 1.25, spillAt: 100 });
    expect(of({ policy: "hash", hash: { key: "path", bound: 2 } }).hashBound).toBe(2);
    expect(of({ policy: "geo", geo: { spillAt: 7 } }).spillAt).toBe(7);
  });
});
