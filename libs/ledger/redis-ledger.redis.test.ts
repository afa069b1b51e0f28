import { ledgerContract } from "@evenkeel/core/ledger/contract.ts";
import { facts, outcome, POOL, statement, wants } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { TICK_MAX } from "@evenkeel/core/ledger/score.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { type PoolKey, poolKey } from "./keys.ts";
import { createRedisLedger } from "./redis-ledger.ts";

const log = createLog("silent", { role: "test", id: "test" });

let redis: Redis;
let prefix: string;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "ledger-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  prefix = `ledger-test-${process.pid}-${prefixes++}`;
});

const key = (name: PoolKey) => poolKey(prefix, POOL, name);

/** As if somebody else had written to the pool: nothing that the server remembers of it counts. */
const writeElsewhere = () => redis.hset(key("meta"), "rev", "another");

/** One gateway's wants, one after the other. */
function picker(ledger: Ledger, gateway = "g1") {
  let seq = 0;
  return async (n: number) => {
    seq += 1;
    const result = await ledger.settle(POOL, [statement(gateway, seq, { full: seq === 1, wants: wants(n) })]);
    return result?.replies[0]?.picks;
  };
}

ledgerContract("the Redis ledger", async () => {
  let nowMs = 1_700_000_000_000;
  return {
    ledger: createRedisLedger({ redis, prefix, clock: () => nowMs }),
    advance: (ms) => {
      nowMs += ms;
    },
  };
});

describe("the Redis ledger", () => {
  it("loads its functions again when Redis has lost them", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1 }));
    await redis.function("FLUSH");
    expect(await picker(ledger)(1)).toEqual(["a"]);
  });

  it("keeps who is next when pick numbers run out and are given anew, also for those that cannot be picked now", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1, c: 1, d: 1, e: 1 }, {}, { d: { maxInflight: 1 } }));
    const pick = picker(ledger);
    expect(await pick(5)).toEqual(["a", "b", "c", "d", "e"]);
    await ledger.setMode(POOL, "c", "draining");
    await redis.hset(key("meta"), "tick", TICK_MAX - 2);
    await writeElsewhere();
    expect(await pick(3)).toEqual(["a", "b", "e"]);
    expect(Number(await redis.hget(key("meta"), "tick"))).toBe(8);
    await ledger.setMode(POOL, "c", "active");
    await ledger.settle(POOL, [statement("g1", 3, { full: true })]);
    const result = await ledger.settle(POOL, [statement("g1", 4, { wants: wants(5) })]);
    expect(result?.replies[0]?.picks).toEqual(["c", "d", "a", "b", "e"]);
  });

  it("takes round-robin turns down for all alike before they grow too large for a score", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 2 }, { policy: "round-robin" }));
    await redis.hset(key("turns"), "a", 70_000, "b", 140_001);
    await redis.hset(key("meta"), "turn", 70_000);
    await writeElsewhere();
    await ledger.configure(facts({ a: 1, b: 2 }, { policy: "round-robin", configVersion: 2 }));
    expect(await picker(ledger)(4)).toEqual(["a", "b", "a", "b"]);
    expect(Number(await redis.hget(key("turns"), "a"))).toBe(2);
  });

  it("publishes every change of a pool with its version", async () => {
    const subscriber = redis.duplicate({ enableOfflineQueue: true });
    const events: unknown[] = [];
    subscriber.on("message", (_channel, text) => events.push(JSON.parse(text)));
    await subscriber.subscribe(`${prefix}:events`);
    const ledger = createRedisLedger({ redis, prefix });
    const version = await ledger.configure(facts({ a: 1, b: 1 }));
    await ledger.setMode(POOL, "a", "draining");
    await ledger.settle(POOL, [
      statement("g1", 1, { full: true, outcomes: { b: outcome({ failure: 3, failuresInRow: 3 }) } }),
    ]);
    await expect.poll(() => events.length).toBe(3);
    const ofPool = { type: "pool", pool: POOL, atMs: expect.any(Number) };
    const asConfigured = { weightPercent: 100, drain: false };
    expect(events).toEqual([
      { ...ofPool, version },
      {
        ...ofPool,
        version: version + 1,
        changes: [{ backend: "a", health: "healthy", mode: "draining", reason: "initial", ...asConfigured }],
      },
      {
        ...ofPool,
        version: version + 2,
        changes: [{ backend: "b", health: "unhealthy", mode: "active", reason: "traffic", ...asConfigured }],
      },
    ]);
    subscriber.disconnect();
  });
});

describe("the log in Redis", () => {
  it("goes an hour after its pool, and not at all when the pool is made anew", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1 }));
    expect(await redis.ttl(key("events"))).toBe(-1);
    await ledger.remove(POOL, 1);
    expect(await redis.ttl(key("events"))).toBeGreaterThan(3_590);
    await ledger.configure(facts({ a: 1 }));
    expect(await redis.ttl(key("events"))).toBe(-1);
    expect(await ledger.events(POOL, null, 10)).toHaveLength(2);
  });
});

describe("what the server remembers of a pool between calls", () => {
  /** Every key of the pool as it is now, to be put back later. */
  async function backup() {
    const keys = await redis.keys(`${prefix}:*`);
    const values = await Promise.all(keys.map((name) => redis.dumpBuffer(name)));
    return async () => {
      await redis.del(...(await redis.keys(`${prefix}:*`)));
      await Promise.all(keys.map((name, i) => redis.restore(name, 0, values[i] as Buffer)));
    };
  }

  it("counts no more when older data came back", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    const pick = picker(ledger);
    expect(await pick(1)).toEqual(["a"]);
    const putBack = await backup();
    expect(await pick(3)).toEqual(["b", "a", "b"]);
    await putBack();
    expect(await ledger.rows(POOL)).toEqual({ g1: { a: 1 } });
    const result = await ledger.settle(POOL, [statement("g2", 1, { full: true, wants: wants(2) })]);
    expect(result?.replies[0]?.picks).toEqual(["b", "a"]);
    expect((await ledger.read(POOL))?.backends.map(({ inflight }) => inflight)).toEqual([2, 1]);
  });

  it("counts no more when the pool was lost, and nothing that may be left of it counts either", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    await picker(ledger)(3);
    await redis.del(key("meta"));
    expect(await picker(ledger)(1)).toBeUndefined();
    await ledger.configure(facts({ a: 1, b: 1 }));
    expect(await ledger.rows(POOL)).toEqual({});
    expect((await ledger.read(POOL))?.backends.map(({ inflight }) => inflight)).toEqual([0, 0]);
  });

  it.each([
    [
      "an earlier release has configured",
      async () => redis.hset(key("meta"), "params", '{"policy":"first"}'),
    ],
    ["half of whose numbers were lost", async () => redis.hdel(key("meta"), "active", "healthy")],
  ])("counts no more for a pool that %s: it is as if it had never been configured", async (_, spoil) => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    await picker(ledger)(1);
    await spoil();
    await writeElsewhere();
    expect(await picker(ledger)(1)).toBeUndefined();
    await ledger.configure(facts({ a: 1, b: 1 }));
    expect(await picker(ledger)(2)).toEqual(["a", "b"]);
  });

  it.each([
    ["an earlier release has configured", async () => redis.hdel(key("meta"), "failing")],
    ["that lost its numbers", async () => redis.del(key("meta"))],
  ])(
    "keeps what operators wish of the backends of a pool %s, and nothing that cannot be read",
    async (_, spoil) => {
      const ledger = createRedisLedger({ redis, prefix });
      await ledger.configure(facts({ a: 1, b: 1, c: 1 }));
      await ledger.setMode(POOL, "b", "disabled");
      await ledger.setMode(POOL, "c", "draining");
      await spoil();
      await redis.hset(key("health"), { a: "nonsense", c: '{"mode":"asleep"}', gone: '{"mode":"disabled"}' });
      await writeElsewhere();
      await ledger.configure(facts({ a: 1, b: 1, c: 1 }));
      const state = await ledger.read(POOL);
      expect(state?.backends.map(({ id, mode }) => [id, mode])).toEqual([
        ["a", "active"],
        ["b", "disabled"],
        ["c", "active"],
      ]);
      expect(await picker(ledger)(2)).toEqual(["a", "c"]);
    },
  );

  it("is told by the functions of an earlier release without what they do not know", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    const {
      returnsMs: _,
      ejections: __,
      ...older
    } = JSON.parse((await redis.hget(key("health"), "a")) ?? "");
    await redis.hset(key("health"), "a", JSON.stringify(older));
    await writeElsewhere();
    const failed = { a: outcome({ failure: 3, failuresInRow: 3 }) };
    await ledger.settle(POOL, [statement("g1", 1, { full: true, outcomes: failed })]);
    expect((await ledger.read(POOL))?.backends[0]).toMatchObject({ health: "unhealthy", ejections: 1 });
  });

  it("counts no more after a call that failed half way", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    const pick = picker(ledger);
    await pick(2);
    await redis.rename(key("seqs"), `${prefix}:aside`);
    await redis.set(key("seqs"), "not a hash");
    await expect(ledger.settle(POOL, [statement("g2", 1, { full: true, held: { a: 9 } })])).rejects.toThrow(
      "WRONGTYPE",
    );
    await redis.rename(`${prefix}:aside`, key("seqs"));
    expect(await pick(1)).toEqual(["a"]);
    expect((await ledger.read(POOL))?.backends.map(({ inflight }) => inflight)).toEqual([2, 1]);
  });
});
