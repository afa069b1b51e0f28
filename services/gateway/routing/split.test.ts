import type { Split } from "@evenkeel/core/config/resolve-routing.ts";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { compileSplit } from "./split.ts";

const POOLS = [
  { pool: "shop", weight: 95 },
  { pool: "canary", weight: 5 },
  { pool: "retired", weight: 0 },
];
const sticky = (more: object = {}): Split => ({
  pools: POOLS,
  sticky: { cookie: "version", maxAgeS: null, secure: false, ...more },
});
const cookies = (...values: string[]) => values.flatMap((value) => ["Cookie", "cookie", value]);

describe("a split", () => {
  it("draws each pool as often as its weight says, and one of weight 0 never", () => {
    const choose = compileSplit({ pools: POOLS, sticky: null }, seeded(1));
    const counts = new Map<string, number>();
    for (let i = 0; i < 20_000; i += 1) {
      const { pool, cookie } = choose([]);
      expect(cookie).toBeNull();
      counts.set(pool, (counts.get(pool) ?? 0) + 1);
    }
    expect(counts.get("retired")).toBeUndefined();
    expect(counts.get("canary")).toBeGreaterThan(900);
    expect(counts.get("canary")).toBeLessThan(1_100);
  });

  it.each([
    [0, "shop"],
    [0.9499, "shop"],
    [0.9501, "canary"],
    [1 - 2 ** -53, "canary"],
  ])("gives chance %d to %s", (chance, pool) => {
    expect(compileSplit({ pools: POOLS, sticky: null }, () => chance)([]).pool).toBe(pool);
  });

  it("says with a cookie where a new client belongs, and nothing to one that has it", () => {
    const choose = compileSplit(sticky(), () => 0.99);
    expect(choose([])).toEqual({ pool: "canary", cookie: "version=canary; Path=/; HttpOnly; SameSite=Lax" });
    expect(choose(cookies("a=b; version=shop"))).toEqual({ pool: "shop", cookie: null });
    expect(choose(cookies("a=b", "version=shop"))).toEqual({ pool: "shop", cookie: null });
  });

  it("says how long, and that only over TLS, where it is told to", () => {
    const choose = compileSplit(sticky({ maxAgeS: 60, secure: true }), () => 0);
    expect(choose([]).cookie).toBe("version=shop; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
  });

  it("keeps clients of a pool that gets no new ones", () => {
    expect(compileSplit(sticky(), () => 0)(cookies("version=retired"))).toEqual({
      pool: "retired",
      cookie: null,
    });
  });

  it.each(["billing", "", "SHOP", "__proto__", "shop canary"])(
    "does not believe a cookie that says %j",
    (value) => {
      expect(compileSplit(sticky(), () => 0)(cookies(`version=${value}`))).toMatchObject({
        pool: "shop",
        cookie: expect.stringContaining("version=shop"),
      });
    },
  );
});
