import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { BackendState, PoolState } from "@evenkeel/core/ledger/ledger.ts";
import type { BackendChange } from "@evenkeel/core/wire/events.ts";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { createSnapshot, type Snapshot } from "./snapshot.ts";

const backend = (id: string, more: Partial<BackendState> = {}): BackendState => ({
  id,
  url: `http://${id}`,
  weight: 1,
  zone: null,
  maxInflight: null,
  priority: 0,
  cost: 0,
  slots: null,
  effectiveWeight: 1,
  inflight: 0,
  health: "healthy",
  reason: "initial",
  sinceMs: 0,
  mode: "active",
  detail: null,
  ejections: 0,
  returnsMs: null,
  probedMs: null,
  agent: null,
  ready: true,
  ewmaMs: null,
  metrics: {},
  ...more,
});

const state = (version: number, backends: BackendState[]): PoolState => ({
  pool: "shop",
  version,
  policy: "least-connections",
  panic: false,
  backends,
});

const configured = (ids: string[], more: Partial<PoolDocument> = {}) =>
  resolvePool({ name: "shop", backends: ids.map((id) => ({ id, url: `http://${id}` })), ...more });

/** As an event tells of it. */
const change = (id: string, more: Partial<BackendChange>): BackendChange => ({
  backend: id,
  health: "healthy",
  mode: "active",
  reason: "probe",
  weightPercent: 100,
  drain: false,
  ...more,
});

const none = new Map<string, number>();

function setUp(more: Partial<PoolDocument> = {}) {
  const clock = { nowMs: 1_000 };
  return { clock, snapshot: createSnapshot(configured(["a", "b"], more), () => clock.nowMs) };
}

const share = (snapshot: Snapshot, id: string, picks = 4_000) => {
  const random = seeded(7);
  let taken = 0;
  for (let i = 0; i < picks; i += 1) if (snapshot.choose(none, {}, random) === id) taken += 1;
  return taken / picks;
};

/** Drawn twice by weight, one of them is taken: the lighter one is where it is drawn both times, or has less to do. */
const alone = (part: number) => part * part;

describe("the answer of a scheduler of an earlier release, which knows of no agents,", () => {
  it("is taken for one whose backends ask for nothing", () => {
    const snapshot = createSnapshot(configured(["a"]), () => 0);
    const untold = [{ ...backend("a"), agent: undefined as never }];
    snapshot.replace(state(1, untold), new Map());
    expect([snapshot.ready("a"), snapshot.eligible()]).toEqual([true, ["a"]]);
  });
});

describe("a gateway's snapshot of a pool", () => {
  it("knows the configured backends before any scheduler has answered", () => {
    const { snapshot } = setUp();
    expect(snapshot.version).toBe(0);
    expect(snapshot.url("a")).toBe("http://a");
    expect(snapshot.choose(none, { exclude: ["b"] }, () => 0.5)).toBe("a");
  });

  it("keeps what it knows of backends that stay through a new configuration", () => {
    const { snapshot } = setUp();
    snapshot.replace(state(7, [backend("a", { health: "unhealthy" }), backend("b")]), none);
    snapshot.configure(configured(["a", "c", "d"]));
    expect(snapshot.eligible()).toEqual(["c", "d"]);
    expect(snapshot.version).toBe(7);
  });

  it("takes over an event that follows its version", () => {
    const { snapshot } = setUp();
    snapshot.replace(state(7, [backend("a"), backend("b")]), none);
    expect(snapshot.apply(8, [change("a", { health: "unhealthy" })])).toBe(true);
    expect(snapshot.eligible()).toEqual(["b"]);
    expect(snapshot.version).toBe(8);
  });

  it("takes over what an event after a gap says, and knows that it has missed something", () => {
    const { snapshot } = setUp();
    snapshot.replace(state(7, [backend("a"), backend("b")]), none);
    expect(snapshot.apply(9, [change("a", { mode: "draining" })])).toBe(false);
    expect(snapshot.eligible()).toEqual(["b"]);
    expect(snapshot.version).toBe(7);
  });

  it("believes an older version only when it has not seen a newer one for a while", () => {
    const { clock, snapshot } = setUp();
    snapshot.replace(state(7, [backend("a"), backend("b")]), none);
    const lost = state(3, [backend("a")]);
    clock.nowMs += 1_999;
    snapshot.replace(lost, none);
    expect(snapshot.version).toBe(7);
    clock.nowMs += 1;
    snapshot.replace(lost, none);
    expect(snapshot.version).toBe(3);
    expect(snapshot.eligible()).toEqual(["a"]);
  });

  it("uses every active backend in panic, never a draining one", () => {
    const { snapshot } = setUp();
    const out = { health: "unhealthy" } as const;
    const backends = [backend("a", out), backend("b", out), backend("c", { mode: "draining" })];
    snapshot.replace(state(1, backends), none);
    expect(snapshot.panic).toBe(true);
    expect(snapshot.eligible()).toEqual(["a", "b"]);
  });

  it("keeps to the healthy ones where the pool never panics", () => {
    const { snapshot } = setUp({ panicPercent: 0 });
    const out = { health: "unhealthy" } as const;
    snapshot.replace(state(1, [backend("a", out), backend("b", out), backend("c", out)]), none);
    expect(snapshot.eligible()).toEqual([]);
    expect(snapshot.choose(none, {}, () => 0.5)).toBeNull();
  });

  it("leaves backups alone while the first tier can carry the load, and uses them when it cannot", () => {
    const { snapshot } = setUp();
    const spare = { priority: 1 };
    snapshot.replace(state(1, [backend("a"), backend("b"), backend("x", spare)]), none);
    expect(snapshot.eligible()).toEqual(["a", "b"]);
    snapshot.apply(
      2,
      ["a", "b"].map((id) => change(id, { health: "unhealthy" })),
    );
    expect(snapshot.eligible()).toEqual(["x"]);
    expect(snapshot.choose(none, {}, () => 0.5)).toBe("x");
  });

  it("knows for a route with a backend of its own whether that is ready, in panic and outside of its tier too", () => {
    const { snapshot } = setUp();
    const prefer = (backend: string) => ({ prefer: { backend, below: 10 } });
    const choose = (backend: string) => snapshot.choose(none, prefer(backend), () => 0.5);
    snapshot.replace(
      state(1, [backend("a"), backend("b"), backend("x", { priority: 1, effectiveWeight: 0 })]),
      none,
    );
    expect([choose("a"), choose("b"), choose("x")]).toEqual(["a", "b", "x"]);
    snapshot.apply(2, [change("x", { mode: "draining" })]);
    expect(choose("x")).not.toBe("x");
    snapshot.apply(3, [change("b", { health: "unhealthy" })]);
    expect(choose("b")).toBe("a");
  });

  it("uses a backend as much as its agent asks for, and not at all where it wants to drain", () => {
    const { snapshot } = setUp();
    const half = { agent: { weightPercent: 50, drain: false }, effectiveWeight: 0.5 };
    snapshot.replace(state(1, [backend("a", half), backend("b")]), none);
    expect(Math.abs(share(snapshot, "a") - alone(1 / 3))).toBeLessThan(0.03);
    expect(snapshot.apply(2, [change("a", { drain: true })])).toBe(true);
    expect(snapshot.eligible()).toEqual(["b"]);
    expect([snapshot.ready("a"), snapshot.ready("b")]).toEqual([false, true]);
    snapshot.apply(3, [change("a", {}), change("b", { weightPercent: 0 })]);
    expect(snapshot.eligible()).toEqual(["a"]);
    expect(snapshot.choose(none, { prefer: { backend: "b", below: 9 } }, () => 0.5)).toBe("a");
    const wishes = [backend("a", { agent: { weightPercent: 0, drain: false } }), backend("b")];
    snapshot.replace(state(4, wishes), none);
    expect(snapshot.eligible()).toEqual(["b"]);
  });

  it("is able while somebody is ready and it is not in panic", () => {
    const { snapshot } = setUp();
    const out = { health: "unhealthy" } as const;
    const ableWith = (version: number, a: Partial<BackendState>, b: Partial<BackendState>) => {
      snapshot.replace(state(version, [backend("a", a), backend("b", b)]), none);
      return snapshot.able;
    };
    expect(snapshot.able).toBe(true);
    expect(ableWith(1, {}, out)).toBe(true);
    expect(ableWith(2, out, out)).toBe(false);
    expect(ableWith(3, { mode: "draining" }, { agent: { weightPercent: 100, drain: true } })).toBe(false);
    snapshot.configure(configured([]));
    expect(snapshot.able).toBe(false);
  });

  it("divides a preferred backend by what it held there itself when it last saw the pool", () => {
    const { snapshot } = setUp();
    const want = { prefer: { backend: "a", below: 12 } };
    const choose = (own: number) => snapshot.choose(new Map([["a", own]]), want, () => 0.9);
    snapshot.replace(state(1, [backend("a", { inflight: 10 }), backend("b")]), new Map([["a", 8]]));
    expect([choose(8), choose(9)]).toEqual(["a", "b"]);
    snapshot.configure(configured(["a", "b"]));
    expect([choose(8), choose(9)]).toEqual(["a", "b"]);
  });

  it("lets a slow start go on from where it was last seen, also when nobody says more of it", () => {
    const { clock, snapshot } = setUp({ slowStart: { windowMs: 10_000, fromPercent: 10 } });
    snapshot.replace(state(1, [backend("a", { effectiveWeight: 0.1 }), backend("b")]), none);
    const shares = [];
    for (let seconds = 0; seconds <= 10; seconds += 5) {
      shares.push(share(snapshot, "a"));
      clock.nowMs += 5_000;
    }
    expect(shares[0]).toBeLessThan(0.15);
    expect(shares[1]).toBeGreaterThan((shares[0] as number) + 0.05);
    expect(Math.abs((shares[2] as number) - 0.5)).toBeLessThan(0.05);
  });
});
