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
  own: 0,
  risen: 1,
  ...more,
});

/** @param spare ready, of a tier that is not needed */
function fallback(candidates: Candidate[], pool: Partial<PoolDocument> = {}, spare: Candidate[] = []) {
  const backends = candidates.map(({ id, zone }, i) => ({
    id,
    url: `http://127.0.0.1:${9_000 + i}`,
    ...(zone !== null && { zone }),
  }));
  const document = { listeners: [], routes: [], pools: [{ name: "p", backends, ...pool }], geography };
  const [resolved] = resolveConfig(document).pools;
  if (!resolved) throw new Error("no pool");
  const ready = (id: string) => [...candidates, ...spare].find((one) => one.id === id) ?? null;
  return createFallback(resolved, candidates, ready);
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

describe("a gateway that picks by itself for a route with a backend of its own", () => {
  const prefer = (below: number, more: object = {}) => ({ ...more, prefer: { backend: "s", below } });
  const others = [candidate("a"), candidate("b")];
  /** How many go to the preferred backend, of more than it may take, none of them released. */
  const taken = (s: Partial<Candidate>, below: number, more: Partial<PoolDocument> = {}) => {
    const counts = fill(fallback([candidate("s", s), ...others], more), 3 * below, prefer(below));
    expect(Object.values(counts).reduce((sum, n) => sum + n, 0)).toBe(3 * below);
    return counts.s ?? 0;
  };

  it("fills it up to the part of the bound that it had of what was in flight there, and spills to the others", () => {
    expect(taken({ own: 10, others: 10 }, 40)).toBe(20);
    expect(taken({ own: 10, others: 0 }, 12)).toBe(11);
    expect(taken({ own: 9, others: 29 }, 40)).toBe(10);
    for (const policy of ["first", "hash", "geo"] as const)
      expect(taken({ own: 3, others: 3 }, 8, { policy })).toBe(4);
  });

  it("has half of an idle one, and one request of one that was busy for others", () => {
    expect(taken({}, 40)).toBe(20);
    expect(taken({ others: 400 }, 40)).toBe(1);
    expect(taken({}, 1)).toBe(1);
  });

  it("and its like together keep near the bound, the nearer the more was in flight", () => {
    const together = (gateways: number, each: number, below: number) =>
      gateways * taken({ own: each, others: (gateways - 1) * each }, below);
    expect(together(2, 20, 40)).toBe(40);
    expect(together(4, 10, 40)).toBe(40);
    expect(together(8, 5, 40)).toBeLessThanOrEqual(48);
    expect(together(20, 2, 40)).toBeLessThanOrEqual(60);
  });

  it("gives one in slow start so much less", () => {
    expect(taken({ own: 10, others: 10, risen: 0.25 }, 40)).toBe(5);
    expect(taken({ own: 10, others: 10, risen: 0.01 }, 40)).toBe(1);
  });

  it("goes by the session first, and leaves it where it is full, excluded or not ready", () => {
    const choose = fallback([candidate("s", { maxInflight: 5, others: 2 }), ...others]);
    const random = seeded(9);
    expect(choose(none, prefer(40, { stick: "b" }), random)).toBe("b");
    expect(choose(none, prefer(40), random)).toBe("s");
    expect(choose(new Map([["s", 3]]), prefer(40), random)).not.toBe("s");
    expect(choose(none, prefer(40, { exclude: ["s"] }), random)).not.toBe("s");
    const without = fallback(others);
    for (let i = 0; i < 20; i += 1) expect(["a", "b"]).toContain(without(none, prefer(40), random));
  });

  it("takes it from a tier that is not needed, and beyond its part where nobody else may be had", () => {
    expect(fallback(others, {}, [candidate("s")])(none, prefer(4), seeded(1))).toBe("s");
    const choose = fallback([candidate("s"), candidate("a")]);
    expect(choose(new Map([["s", 30]]), prefer(4, { exclude: ["a"] }), seeded(1))).toBe("s");
    expect(choose(none, prefer(4, { exclude: ["a", "s"] }), seeded(1))).toBeNull();
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
