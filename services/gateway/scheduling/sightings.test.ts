import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { Health } from "@evenkeel/core/health/state.ts";
import { facts, POOL } from "@evenkeel/core/ledger/fixtures.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import type { BackendChange } from "@evenkeel/core/wire/events.ts";
import { describe, expect, it } from "vitest";
import { noteEvent, noteRead } from "./sightings.ts";
import { createSnapshot } from "./snapshot.ts";

const IDS = ["a", "b"];
const none = new Map<string, number>();

async function setUp() {
  const ledger = createModelLedger(() => 0);
  await ledger.configure(facts({ a: 1, b: 1 }));
  const pool = resolvePool({ name: POOL, backends: IDS.map((id) => ({ id, url: `http://${id}` })) });
  const snapshot = createSnapshot(pool, () => 0);
  const seen: [string, number][] = [];
  const note = (by: string, atMs: number) => void seen.push([by, atMs]);
  const stateOf = async (version: number, health: Record<string, Health>) => {
    const state = await ledger.read(POOL);
    if (state === null) throw new Error("the pool is known");
    const backends = state.backends.map((b) => ({ ...b, health: health[b.id] ?? "healthy", sinceMs: 70 }));
    return { ...state, version, backends };
  };
  const read = async (version: number, health: Record<string, Health>) => {
    const state = await stateOf(version, health);
    noteRead(snapshot, state, note);
    snapshot.replace(state, none);
  };
  const event = (version: number, changes: BackendChange[]) => {
    noteEvent(snapshot, { type: "pool", pool: POOL, version, atMs: 90, changes }, note);
    snapshot.apply(version, changes);
  };
  return { seen, read, event };
}

const change = (backend: string, health: Health): BackendChange => ({
  ...{ backend, health, mode: "active", reason: "probe", weightPercent: 100, drain: false },
});

describe("a change of a backend's health", () => {
  it("is seen once, from whoever tells first, since it happened", async () => {
    const { seen, read, event } = await setUp();
    await read(1, {});
    event(2, [change("a", "unhealthy")]);
    await read(2, { a: "unhealthy" });
    expect(seen).toEqual([["event", 90]]);
    await read(3, { a: "unhealthy", b: "unhealthy" });
    expect(seen).toEqual([
      ["event", 90],
      ["read", 70],
    ]);
    event(4, [change("b", "unhealthy")]);
    expect(seen).toHaveLength(2);
  });

  it("is not seen again by a read that its event has overtaken", async () => {
    const { seen, read, event } = await setUp();
    await read(1, {});
    event(2, [change("a", "unhealthy")]);
    await read(1, {});
    expect(seen).toEqual([["event", 90]]);
  });

  it("is no news at the first look, nor of a backend that is not known", async () => {
    const { seen, read, event } = await setUp();
    await read(1, { a: "unhealthy" });
    event(2, [change("stranger", "unhealthy")]);
    expect(seen).toEqual([]);
  });
});
