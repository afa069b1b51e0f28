import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { facts, POOL } from "@evenkeel/core/ledger/fixtures.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Asked, startFrameServer } from "../test-support/frame-server.ts";
import type { Pick } from "./scheduling.ts";
import { createScheduling, type EventedScheduling } from "./settle-client.ts";

const BACKENDS = { a: 1, b: 1, c: 2 };

/** `answer` settles; the others are what may go wrong between a gateway and a scheduler. */
type Behaviour = "answer" | "lose the reply" | "stay silent" | "say redis is away" | "do not know the pool";

const testPool = () =>
  resolvePool({
    name: POOL,
    backends: facts(BACKENDS).backends.map(({ id, url, weight }) => ({ id, url, weight })),
  });

/** A scheduler with the reference model behind a real connection, that can be told to misbehave. */
async function testScheduler(ledger: ReturnType<typeof createModelLedger>) {
  const state = { behaviour: "answer" as Behaviour, batches: [] as number[], silenced: 0 };
  const settle = async ({ request, answer, refuse, socket }: Asked) => {
    const { version, refresh, ...statement } = request;
    if (state.behaviour === "stay silent") {
      state.silenced += 1;
      return;
    }
    if (state.behaviour === "say redis is away") return refuse(503, "redis_unavailable");
    if (state.behaviour === "do not know the pool") return refuse(404, "unknown_pool");
    state.batches.push(statement.wants.length);
    const result = await ledger.settle(POOL, [statement]);
    if (state.behaviour === "lose the reply") return socket.destroy();
    const pool = refresh || version !== result?.version ? await ledger.read(POOL) : undefined;
    return answer({ ...result?.replies[0], version: result?.version, pool });
  };
  const server = await startFrameServer((asked) => void settle(asked));
  return { state, server };
}

describe("a gateway's settle client", () => {
  let ledger: ReturnType<typeof createModelLedger>;
  let schedulers: Awaited<ReturnType<typeof testScheduler>>[];
  let urls: string[];
  let scheduling: EventedScheduling;
  const acquire = (exclude: string[] = []) =>
    new Promise<Pick | null>((resolve) =>
      scheduling.acquire(POOL, exclude.length > 0 ? { exclude } : {}, resolve),
    );
  const view = () => scheduling.view()[0] as NonNullable<ReturnType<typeof scheduling.view>[0]>;
  const counts = async () =>
    Object.fromEntries(((await ledger.read(POOL))?.backends ?? []).map((b) => [b.id, b.inflight]));
  const behave = (behaviour: Behaviour) => {
    for (const { state } of schedulers) state.behaviour = behaviour;
  };
  const untilCountsEqualWhatIsHeld = () =>
    expect.poll(counts, { timeout: 5_000 }).toEqual({ a: 0, b: 0, c: 0, ...view().held });

  beforeEach(async () => {
    ledger = createModelLedger(() => Date.now());
    await ledger.configure(facts(BACKENDS));
    schedulers = await Promise.all([testScheduler(ledger), testScheduler(ledger)]);
    urls = schedulers.map(({ server }) => server.url);
    scheduling = createScheduling({
      gatewayId: "g1",
      schedulers: () => urls,
      token: "",
      metrics: createMetrics(),
      log: createLog("silent", { role: "gateway", id: "g1" }),
      clock: () => performance.now(),
      now: Date.now,
      random: Math.random,
    });
    scheduling.setPools([testPool()]);
  });

  afterEach(async () => {
    await scheduling.stop();
    for (const { server } of schedulers) server.close();
  });

  const untilScheduled = async () => {
    await expect
      .poll(
        async () => {
          const pick = await acquire();
          if (pick) scheduling.release(pick, "success", 1);
          return pick?.source;
        },
        { timeout: 5_000 },
      )
      .toBe("scheduler");
  };

  it("takes its decisions from the scheduler and counts them on both sides alike", async () => {
    await untilScheduled();
    const picks = await Promise.all(Array.from({ length: 8 }, () => acquire()));
    expect(picks.every((pick) => pick?.source === "scheduler")).toBe(true);
    expect(view().held).toEqual({ a: 2, b: 2, c: 4 });
    await untilCountsEqualWhatIsHeld();
    for (const pick of picks) if (pick) scheduling.release(pick, "success", 1);
    expect(view().held).toEqual({});
    await untilCountsEqualWhatIsHeld();
  });

  it("has a preferred backend from the scheduler up to its bound, and by itself up to its own part of that", async () => {
    await untilScheduled();
    const want = { prefer: { backend: "c", below: 6 } };
    const ask = () => new Promise<Pick | null>((resolve) => scheduling.acquire(POOL, want, resolve));
    const taken = async (asked: number) => {
      const picks = await Promise.all(Array.from({ length: asked }, ask));
      const on = picks.filter((pick) => pick?.backend === "c").length;
      for (const pick of picks) if (pick) scheduling.release(pick, "success", 1);
      return { on, source: picks[0]?.source };
    };
    expect(await taken(12)).toEqual({ on: 6, source: "scheduler" });
    await untilCountsEqualWhatIsHeld();
    behave("say redis is away");
    await expect.poll(async () => (await taken(12)).source, { timeout: 4_000 }).toBe("fallback");
    // Half of the bound, or more if it was seen while these requests were under way.
    const { on } = await taken(12);
    expect(on).toBeGreaterThanOrEqual(3);
    expect(on).toBeLessThan(6);
  });

  it("puts what arrives while a settle is in flight into one next settle", async () => {
    await untilScheduled();
    for (const { state } of schedulers) state.batches = [];
    await Promise.all(Array.from({ length: 50 }, () => acquire()));
    const batches = schedulers.flatMap(({ state }) => state.batches).filter((n) => n > 0);
    expect(batches.length).toBeLessThan(10);
    expect(batches.reduce((sum, n) => sum + n, 0)).toBe(50);
  });

  it("asks the same scheduler as long as it answers, and another when it does not", async () => {
    await untilScheduled();
    for (const { state } of schedulers) state.batches = [];
    for (let i = 0; i < 5; i += 1) await acquire();
    const preferred = schedulers.filter(({ state }) => state.batches.length > 0);
    expect(preferred.length).toBe(1);
    preferred[0]?.server.close();
    const pick = await acquire();
    expect(pick).not.toBeNull();
    await untilScheduled();
    await untilCountsEqualWhatIsHeld();
  });

  it.each<Behaviour>(["stay silent", "say redis is away", "lose the reply", "do not know the pool"])(
    "picks by itself when the schedulers %s, and sets the counts right once they answer",
    async (behaviour) => {
      await untilScheduled();
      const before = await Promise.all(Array.from({ length: 4 }, () => acquire()));
      behave(behaviour);
      const alone = await Promise.all(Array.from({ length: 6 }, () => acquire()));
      expect(alone.every((pick) => pick !== null)).toBe(true);
      await expect.poll(() => view().deciding).toBe("fallback");
      expect((await acquire())?.source).toBe("fallback");
      for (const pick of before) if (pick) scheduling.release(pick, "success", 1);
      behave("answer");
      await expect.poll(() => view().deciding, { timeout: 5_000 }).toBe("scheduler");
      await untilCountsEqualWhatIsHeld();
      expect(Object.values(view().held).reduce((sum, n) => sum + n, 0)).toBe(7);
    },
  );

  it("picks by itself from its configuration before any scheduler was ever there", async () => {
    behave("do not know the pool");
    const picks = await Promise.all(Array.from({ length: 20 }, () => acquire()));
    expect(picks.every((pick) => pick?.url.startsWith("http://127.0.0.1:900"))).toBe(true);
  });

  it("never picks what is excluded", async () => {
    await untilScheduled();
    for (let i = 0; i < 6; i += 1) expect((await acquire(["a", "c"]))?.backend).toBe("b");
    expect(await acquire(["a", "b", "c"])).toBeNull();
  });

  it("counts a static hold without asking the scheduler first", async () => {
    const pick = scheduling.hold(POOL, "b");
    expect(pick).toMatchObject({ backend: "b", source: "static" });
    expect(scheduling.hold(POOL, "nobody")).toBeNull();
    await untilCountsEqualWhatIsHeld();
    expect((await counts()).b).toBe(1);
  });

  it("reads the pool again when a settle answers a version it does not have, without any event", async () => {
    await untilScheduled();
    await ledger.setMode(POOL, "c", "draining");
    await expect.poll(() => view().eligible, { timeout: 5_000 }).toEqual(["a", "b"]);
  });

  it("tells the ledger of failures, so that a failing backend leaves for every gateway", async () => {
    await untilScheduled();
    for (let i = 0; i < 3; i += 1) {
      const pick = await acquire(["a", "b"]);
      if (pick) scheduling.release(pick, "failure", null);
    }
    await expect.poll(() => view().eligible, { timeout: 5_000 }).toEqual(["a", "b"]);
  });

  it("answers every request whose pool is removed while it waits for a decision", async () => {
    await untilScheduled();
    behave("stay silent");
    const waiting = Array.from({ length: 5 }, () => acquire());
    await expect.poll(() => schedulers.some(({ state }) => state.silenced > 0)).toBe(true);
    scheduling.setPools([]);
    expect((await Promise.all(waiting)).length).toBe(5);
    expect(await acquire()).toBeNull();
  });

  it("counts right in a pool that was removed and made again while requests were open", async () => {
    await untilScheduled();
    const old = await Promise.all(Array.from({ length: 4 }, () => acquire()));
    scheduling.setPools([]);
    scheduling.setPools([testPool()]);
    await untilScheduled();
    await Promise.all(Array.from({ length: 4 }, () => acquire()));
    for (const pick of old) if (pick) scheduling.release(pick, "success", 1);
    expect(view().held).toEqual({ a: 1, b: 1, c: 2 });
    await untilCountsEqualWhatIsHeld();
  });

  it("lives with a scheduler whose announced URL is nonsense", async () => {
    await untilScheduled();
    urls.unshift("http://::1:70000", "http://[half");
    for (let i = 0; i < 5; i += 1) expect(await acquire()).not.toBeNull();
    await untilScheduled();
  });

  it("holds nothing that a backend's former address did against its new one", async () => {
    await untilScheduled();
    const picks = await Promise.all(Array.from({ length: 4 }, () => acquire(["a", "b"])));
    const moved = facts(BACKENDS, { configVersion: 2 });
    moved.backends = moved.backends.map((b) => ({ ...b, url: b.url.replace("127.0.0.1", "127.0.0.2") }));
    await ledger.configure(moved);
    await expect
      .poll(async () => (await acquire(["a", "b"]))?.url, { timeout: 5_000 })
      .toContain("127.0.0.2");
    for (const pick of picks) if (pick) scheduling.release(pick, "failure", null);
    await untilScheduled();
    expect((await ledger.read(POOL))?.backends.map((b) => b.health)).toEqual([
      "healthy",
      "healthy",
      "healthy",
    ]);
  });

  it("states an empty row when it stops", async () => {
    await untilScheduled();
    await Promise.all(Array.from({ length: 4 }, () => acquire()));
    await untilCountsEqualWhatIsHeld();
    await scheduling.stop();
    expect(await counts()).toEqual({ a: 0, b: 0, c: 0 });
  });
});
