import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { GeographyDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { type Candidate, createFallback } from "./fallback.ts";

const geography: GeographyDocument = {
  zones: [{ name: "eu" }, { name: "us" }, { name: "asia" }],
  distances: [
    { between: ["eu", "us"], distance: 90 },
    { between: ["eu", "asia"], distance: 150 },
    { between: ["us", "asia"], distance: 200 },
  ],
};

const candidate = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  weight: 1,
  zone: null,
  maxInflight: null,
  others: 0,
  ...more,
});

function fallback(candidates: Candidate[], pool: Partial<PoolDocument> = {}) {
  const backends = candidates.map(({ id, zone }, i) => ({
    id,
    url: `http://127.0.0.1:${9_000 + i}`,
    ...(zone !== null && { zone }),
  }));
  const document = { listeners: [], routes: [], pools: [{ name: "p", backends, ...pool }], geography };
  const [resolved] = resolveConfig(document).pools;
  if (!resolved) throw new Error("no pool");
  return createFallback(resolved, candidates);
}

const none = new Map<string, number>();

/** Picks one after the other, none of them released. */
function fill(choose: ReturnType<typeof fallback>, picks: number, want = {}, random = seeded(3)) {
  const held = new Map<string, number>();
  for (let i = 0; i < picks; i += 1) {
    const id = choose(held, want, random);
    if (id !== null) held.set(id, (held.get(id) ?? 0) + 1);
  }
  return Object.fromEntries(held);
}

describe("a gateway that picks by itself", () => {
  it("never picks what is excluded or full, and answers null when nothing is left", () => {
    const choose = fallback([candidate("a"), candidate("b", { maxInflight: 2, others: 1 })]);
    const random = seeded(1);
    for (let i = 0; i < 50; i += 1) expect(choose(none, { exclude: ["a"] }, random)).toBe("b");
    expect(choose(new Map([["b", 2]]), { exclude: ["a"] }, random)).toBeNull();
    expect(choose(none, { exclude: ["a", "b"] }, random)).toBeNull();
    expect(fallback([])(none, {}, random)).toBeNull();
  });

  it("does not refuse for what the others had in flight when last seen, only for its own", () => {
    const choose = fallback([candidate("a", { maxInflight: 4, others: 4 })]);
    expect(choose(new Map([["a", 3]]), {}, seeded(5))).toBe("a");
    expect(choose(new Map([["a", 4]]), {}, seeded(5))).toBeNull();
  });

  it("finds the one backend left among many excluded by chance", () => {
    const ids = Array.from({ length: 200 }, (_, i) => `b${i}`);
    const choose = fallback(ids.map((id) => candidate(id)));
    expect(choose(none, { exclude: ids.slice(0, 199) }, seeded(2))).toBe("b199");
  });

  it("spreads its own picks by weight within 10 %", () => {
    const weights = { a: 1, b: 2, c: 3 };
    const counts = fill(
      fallback(Object.entries(weights).map(([id, weight]) => candidate(id, { weight }))),
      600,
    );
    for (const [id, weight] of Object.entries(weights))
      expect(Math.abs((counts[id] ?? 0) / (weight * 100) - 1)).toBeLessThan(0.1);
  });

  it("avoids what the other gateways had in flight", () => {
    const choose = fallback([candidate("a", { others: 6 }), candidate("b")]);
    const random = seeded(4);
    const picks = Array.from({ length: 100 }, () => choose(new Map([["b", 4]]), {}, random));
    expect(picks.filter((id) => id === "b").length).toBeGreaterThan(60);
  });

  it("stays with the backend of the session, whatever the policy, unless that may not be picked", () => {
    for (const policy of ["least-connections", "first", "hash", "geo"] as const) {
      const choose = fallback([candidate("a"), candidate("b", { others: 50, maxInflight: 60 })], { policy });
      const random = seeded(6);
      const picks = Array.from({ length: 20 }, () => choose(none, { stick: "b", ranked: ["a"] }, random));
      expect(new Set(picks)).toEqual(new Set(["b"]));
      expect(choose(none, { stick: "b", exclude: ["b"] }, random)).toBe("a");
      expect(choose(new Map([["b", 10]]), { stick: "b" }, random)).toBe("a");
      expect(choose(none, { stick: "gone", exclude: ["b"] }, random)).toBe("a");
    }
  });
});

describe("by the policy `hash`", () => {
  const some = (others: Record<string, number> = {}) =>
    ["a", "b", "c", "d"].map((id) => candidate(id, { others: others[id] ?? 0 }));

  it("it takes the first in the order of the key that it may", () => {
    const choose = fallback(some(), { policy: "hash" });
    expect(choose(none, { ranked: ["c", "a"] }, seeded(1))).toBe("c");
    expect(choose(none, { ranked: ["c", "a"], exclude: ["c"] }, seeded(1))).toBe("a");
    expect(choose(none, { ranked: ["gone", "d"] }, seeded(1))).toBe("d");
    expect(choose(none, { ranked: ["c"], exclude: ["a", "b", "c"] }, seeded(1))).toBe("d");
  });

  it("it passes over one that has more than its bounded share of what it knows to be in flight", () => {
    const hash = { key: "path", bound: 1.25 } as const;
    const ranked = ["c", "a", "b", "d"];
    // 20 in flight with this one: a share of 5, a bound of 7
    const at = (c: number) => some({ a: 5, b: 5, c, d: 9 - c });
    expect(fallback(at(6), { policy: "hash", hash })(none, { ranked }, seeded(1))).toBe("c");
    expect(fallback(at(7), { policy: "hash", hash })(none, { ranked }, seeded(1))).toBe("a");
    const own = new Map([["c", 1]]);
    expect(fallback(at(6), { policy: "hash", hash })(own, { ranked }, seeded(1))).toBe("a");
  });

  it("one key in a storm fills the others only as far as the bound asks", () => {
    const hash = { key: "path", bound: 1.25 } as const;
    const counts = fill(fallback(some(), { policy: "hash", hash }), 100, { ranked: ["c", "a", "b", "d"] });
    expect(counts.c).toBeGreaterThanOrEqual(31);
    expect(counts.c).toBeLessThanOrEqual(32);
    expect(counts.d).toBeLessThan(25);
  });
});

describe("by the policy `first`", () => {
  it("it fills one before the next, in the order of the configuration", () => {
    const some = ["z", "m", "a"].map((id) => candidate(id, { maxInflight: 3 }));
    expect(fill(fallback(some, { policy: "first" }), 8)).toEqual({ z: 3, m: 3, a: 2 });
    const choose = fallback([candidate("z"), candidate("a")], { policy: "first" });
    expect(choose(none, { exclude: ["z"] }, seeded(1))).toBe("a");
  });
});

describe("by the policy `geo`", () => {
  const zones = [
    candidate("eu-1", { zone: "eu" }),
    candidate("eu-2", { zone: "eu" }),
    candidate("us-1", { zone: "us" }),
    candidate("asia-1", { zone: "asia", weight: 2 }),
  ];
  const choose = fallback(zones, { policy: "geo", geo: { spillAt: 5 } });

  it("it keeps to the nearest zone while that has room, spreading over its backends", () => {
    const counts = fill(choose, 8, { zone: "eu" });
    expect(Object.keys(counts).sort()).toEqual(["eu-1", "eu-2"]);
    for (const n of Object.values(counts)) expect(n).toBeLessThanOrEqual(5);
    expect(fill(choose, 4, { zone: "asia" })).toEqual({ "asia-1": 4 });
  });

  it("it goes on to the next zone when the nearest is full, and over all zones when all are", () => {
    expect(fill(choose, 20, { zone: "eu" })).toMatchObject({ "eu-1": 5, "eu-2": 5, "us-1": 5, "asia-1": 5 });
    const over = fill(choose, 200, { zone: "eu" });
    for (const n of Object.values(over)) expect(n).toBeGreaterThan(20);
    expect(Object.values(over).reduce((sum, n) => sum + n, 0)).toBe(200);
  });

  it("it takes a request from nowhere as equally near to all", () => {
    for (const want of [{}, { zone: "mars" }])
      expect(Object.keys(fill(choose, 12, want)).length).toBeGreaterThanOrEqual(3);
  });
});
