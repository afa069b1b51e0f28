import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { BackendState, PoolState } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it } from "vitest";
import { createSnapshot } from "./snapshot.ts";

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const backend = (id: string, more: Partial<BackendState> = {}): BackendState => ({
  id,
  url: `http://${id}`,
  weight: 1,
  zone: null,
  maxInflight: null,
  effectiveWeight: 1,
  inflight: 0,
  health: "healthy",
  reason: "initial",
  sinceMs: 0,
  mode: "active",
  ready: true,
  ewmaMs: null,
  ...more,
});

const pool = (version: number, backends: BackendState[]): PoolState => ({
  pool: "shop",
  version,
  policy: "least-connections",
  panic: false,
  backends,
});

const none = new Map<string, number>();

describe("a gateway's snapshot of a pool", () => {
  it("knows the configured backends before any scheduler has answered", () => {
    const snapshot = createSnapshot();
    snapshot.configure(resolvePool({ name: "shop", backends: [{ id: "a", url: "http://127.0.0.1:9001" }] }));
    expect(snapshot.version).toBe(0);
    expect(snapshot.url("a")).toBe("http://127.0.0.1:9001");
    expect(snapshot.choose(none, [], () => 0.5)).toBe("a");
  });

  it("keeps what it knows of backends that stay through a new configuration", () => {
    const snapshot = createSnapshot();
    snapshot.replace(pool(7, [backend("a", { url: "http://a:1", health: "unhealthy" }), backend("b")]), none);
    snapshot.configure(
      resolvePool({
        name: "shop",
        backends: [
          { id: "a", url: "http://a:1" },
          { id: "c", url: "http://c:1" },
        ],
      }),
    );
    expect(snapshot.eligible()).toEqual(["c"]);
    expect(snapshot.version).toBe(7);
  });

  it("takes over an event that follows its version", () => {
    const snapshot = createSnapshot();
    snapshot.replace(pool(7, [backend("a"), backend("b")]), none);
    expect(snapshot.apply(8, [{ backend: "a", health: "unhealthy", mode: "active", reason: "probe" }])).toBe(
      true,
    );
    expect(snapshot.eligible()).toEqual(["b"]);
    expect(snapshot.version).toBe(8);
  });

  it("takes over what an event after a gap says, and knows that it has missed something", () => {
    const snapshot = createSnapshot();
    snapshot.replace(pool(7, [backend("a"), backend("b")]), none);
    expect(
      snapshot.apply(9, [{ backend: "a", health: "healthy", mode: "draining", reason: "initial" }]),
    ).toBe(false);
    expect(snapshot.eligible()).toEqual(["b"]);
    expect(snapshot.version).toBe(7);
  });

  it("uses every active backend in panic, never a draining one", () => {
    const snapshot = createSnapshot();
    const out = { health: "unhealthy" } as const;
    snapshot.replace(
      pool(1, [backend("a", out), backend("b", out), backend("c", { mode: "draining" })]),
      none,
    );
    expect(snapshot.eligible()).toEqual(["a", "b"]);
  });

  it("never picks what is excluded or full, and answers null when nothing is left", () => {
    const snapshot = createSnapshot();
    snapshot.replace(pool(1, [backend("a"), backend("b", { maxInflight: 2, inflight: 1 })]), none);
    const random = seeded(1);
    for (let i = 0; i < 50; i += 1) expect(snapshot.choose(none, ["a"], random)).toBe("b");
    expect(snapshot.choose(new Map([["b", 2]]), ["a"], random)).toBeNull();
    expect(snapshot.choose(none, ["a", "b"], random)).toBeNull();
  });

  it("does not refuse for what the others had in flight when last seen, only for its own", () => {
    const snapshot = createSnapshot();
    snapshot.replace(pool(1, [backend("a", { maxInflight: 4, inflight: 4 })]), none);
    expect(snapshot.choose(new Map([["a", 3]]), [], seeded(5))).toBe("a");
    expect(snapshot.choose(new Map([["a", 4]]), [], seeded(5))).toBeNull();
  });

  it("finds the one backend left among many excluded by chance", () => {
    const snapshot = createSnapshot();
    const ids = Array.from({ length: 200 }, (_, i) => `b${i}`);
    snapshot.replace(
      pool(
        1,
        ids.map((id) => backend(id)),
      ),
      none,
    );
    expect(snapshot.choose(none, ids.slice(0, 199), seeded(2))).toBe("b199");
  });

  it("spreads its own picks by weight within 10 %", () => {
    const snapshot = createSnapshot();
    snapshot.replace(
      pool(1, [backend("a", { weight: 1 }), backend("b", { weight: 2 }), backend("c", { weight: 3 })]),
      none,
    );
    const held = new Map<string, number>();
    const random = seeded(3);
    for (let i = 0; i < 600; i += 1) {
      const id = snapshot.choose(held, [], random) as string;
      held.set(id, (held.get(id) ?? 0) + 1);
    }
    for (const [id, fair] of [
      ["a", 100],
      ["b", 200],
      ["c", 300],
    ] as const) {
      expect(Math.abs((held.get(id) ?? 0) - fair)).toBeLessThanOrEqual(fair * 0.1);
    }
  });

  it("avoids what the other gateways had in flight, and does not count its own twice", () => {
    const snapshot = createSnapshot();
    const held = new Map([["a", 4]]);
    snapshot.replace(pool(1, [backend("a", { inflight: 4 }), backend("b", { inflight: 6 })]), held);
    const random = seeded(4);
    const picks = Array.from({ length: 100 }, () => snapshot.choose(held, [], random));
    expect(picks.filter((id) => id === "a").length).toBeGreaterThan(60);
  });
});
