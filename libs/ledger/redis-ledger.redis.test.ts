import { ledgerContract } from "@evenkeel/core/ledger/contract.ts";
import { facts, found, outcome, POOL, statement, wants } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger, Statement } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger, type ModelLedger } from "@evenkeel/core/ledger/model.ts";
import { TICK_MAX } from "@evenkeel/core/ledger/score.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { poolKey } from "./keys.ts";
import { createRedisLedger } from "./redis-ledger.ts";

const log = createLog("silent", { role: "test", id: "test" });
const RUNS = 150;
const STEPS_MAX = 25;

let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "ledger-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const newPrefix = () => `ledger-test-${process.pid}-${prefixes++}`;

ledgerContract("the Redis ledger", async () => {
  let nowMs = 1_700_000_000_000;
  return {
    ledger: createRedisLedger({ redis, prefix: newPrefix(), clock: () => nowMs }),
    advance: (ms) => {
      nowMs += ms;
    },
  };
});

const BACKENDS = ["a", "b", "c", "d", "e"];
const GATEWAYS = ["g1", "g2", "g3"];
const anyBackend = fc.constantFrom(...BACKENDS, "ghost");
const weights = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 5, maxLength: 5 });
const policy = fc.constantFrom("least-connections" as const, "round-robin" as const);
const held = fc.dictionary(anyBackend, fc.integer({ min: 0, max: 9 }), { maxKeys: 4 });
const outcomes = fc.dictionary(
  anyBackend,
  fc
    .record({ success: fc.nat(3), failure: fc.nat(3), latencyUs: fc.integer({ min: 1, max: 90_000 }) })
    .map(({ success, failure, latencyUs }) =>
      outcome({ success, failure, failuresInRow: failure, latencyUs: success > 0 ? latencyUs : 0 }),
    ),
  { maxKeys: 3 },
);
const want = fc.oneof(fc.constant({}), fc.record({ exclude: fc.array(anyBackend, { maxLength: 3 }) }));

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      statements: fc.array(
        fc.record({
          gateway: fc.constantFrom(...GATEWAYS),
          // Behind, equal to, or ahead of what the gateway said last: late, duplicate and lost messages.
          jump: fc.constantFrom(-1, 0, 1, 1, 1, 1, 3),
          full: fc.boolean(),
          held,
          outcomes,
          wants: fc.array(want, { maxLength: 6 }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 6_000 }), fc.constant(-60_000)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("observe" as const),
      findings: fc.array(
        fc.tuple(anyBackend, fc.boolean()).map(([id, ok]) => found(id, ok)),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("mode" as const),
      backend: anyBackend,
      mode: fc.constantFrom("active" as const, "draining" as const, "disabled" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("configure" as const),
      weights,
      policy,
      size: fc.integer({ min: 1, max: 5 }),
      cap: fc.option(fc.integer({ min: 1, max: 4 })),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Applies one step to a ledger and answers all that can be seen of it. */
function player(ledger: Ledger, advance: (ms: number) => void) {
  const seqs = new Map<string, number>();
  let configVersion = 1;
  const play = async (s: Step): Promise<unknown> => {
    switch (s.kind) {
      case "advance":
        return advance(s.ms);
      case "observe":
        return ledger.observe(POOL, s.findings);
      case "mode":
        return ledger.setMode(POOL, s.backend, s.mode);
      case "configure": {
        configVersion += 1;
        const chosen = Object.fromEntries(BACKENDS.slice(0, s.size).map((id, i) => [id, s.weights[i] ?? 1]));
        const next = facts(chosen, { configVersion, policy: s.policy });
        next.backends = next.backends.map((b, i) => ({
          ...b,
          maxInflight: i === 0 ? (s.cap ?? null) : null,
        }));
        return ledger.configure(next);
      }
      case "settle": {
        const statements = s.statements.map(({ jump, gateway, ...rest }): Statement => {
          const seq = Math.max(1, (seqs.get(gateway) ?? 0) + jump);
          seqs.set(gateway, Math.max(seq, seqs.get(gateway) ?? 0));
          return { gateway, seq, ...rest };
        });
        return ledger.settle(POOL, statements);
      }
    }
  };
  return async (s: Step) => ({
    answer: await play(s),
    state: await ledger.read(POOL),
    rows: await ledger.rows(POOL),
  });
}

async function storedOrder(prefix: string): Promise<Map<string, number>> {
  const flat = (await redis.call("ZRANGE", poolKey(prefix, POOL, "order"), 0, -1)) as string[];
  const scores = await Promise.all(flat.map((id) => redis.zscore(poolKey(prefix, POOL, "order"), id)));
  return new Map(flat.map((id, i) => [id, Number(scores[i])]));
}

describe("random traces of settles, losses, duplicates, late arrivals, expiries, health, mode and policy changes", () => {
  it("are answered alike by Redis and the model; order is the index of the facts and counts are the sum of the rows", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: STEPS_MAX }), async (steps) => {
        let nowMs = 1_700_000_000_000;
        const advance = (ms: number) => {
          nowMs += ms;
        };
        const prefix = newPrefix();
        const real = createRedisLedger({ redis, prefix, clock: () => nowMs });
        const model: ModelLedger = createModelLedger(() => nowMs);
        const start = facts({ a: 1, b: 2, c: 3 });
        await real.configure(start);
        await model.configure(start);
        const playReal = player(real, advance);
        const playModel = player(model, () => {});
        for (const s of steps) {
          const seen = await playReal(s);
          expect(seen).toEqual(await playModel(s));
          expect(await storedOrder(prefix)).toEqual(model.order(POOL));
          expectCountsToBeTheSumOfTheRows(seen.state, seen.rows);
        }
      }),
      { numRuns: RUNS, seed: 20_261_121 },
    );
  }, 120_000);
});

function expectCountsToBeTheSumOfTheRows(
  state: Awaited<ReturnType<Ledger["read"]>>,
  rows: Awaited<ReturnType<Ledger["rows"]>>,
) {
  for (const backend of state?.backends ?? []) {
    const sum = Object.values(rows).reduce((total, row) => total + (row[backend.id] ?? 0), 0);
    expect(backend.inflight).toBe(sum);
  }
}

describe("the Redis ledger", () => {
  it("loads its functions again when Redis has lost them", async () => {
    const ledger = createRedisLedger({ redis, prefix: newPrefix() });
    await ledger.configure(facts({ a: 1 }));
    await redis.function("FLUSH");
    const result = await ledger.settle(POOL, [statement("g1", 1, { full: true, wants: wants(1) })]);
    expect(result?.replies[0]?.picks).toEqual(["a"]);
  });

  it("keeps who is next when pick numbers run out and are given anew", async () => {
    const prefix = newPrefix();
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1, c: 1 }));
    const pick = async (seq: number) =>
      (await ledger.settle(POOL, [statement("g1", seq, { full: true, wants: wants(1) })]))?.replies[0]
        ?.picks[0];
    expect([await pick(1), await pick(2)]).toEqual(["a", "b"]);
    await redis.hset(poolKey(prefix, POOL, "meta"), "tick", TICK_MAX);
    expect([await pick(3), await pick(4), await pick(5)]).toEqual(["c", "a", "b"]);
    expect(Number(await redis.hget(poolKey(prefix, POOL, "meta"), "tick"))).toBeLessThan(10);
  });

  it("takes round-robin turns down for all alike before they grow too large for a score", async () => {
    const prefix = newPrefix();
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 2 }, { policy: "round-robin" }));
    await redis.zadd(poolKey(prefix, POOL, "turns"), 70_000, "a", 140_001, "b");
    await ledger.configure(facts({ a: 1, b: 2 }, { policy: "round-robin", configVersion: 2 }));
    const result = await ledger.settle(POOL, [statement("g1", 1, { full: true, wants: wants(4) })]);
    expect(result?.replies[0]?.picks).toEqual(["a", "b", "a", "b"]);
    expect(Number(await redis.zscore(poolKey(prefix, POOL, "turns"), "a"))).toBe(2);
  });

  it("settles a full row of 10,000 backends", async () => {
    const ledger = createRedisLedger({ redis, prefix: newPrefix() });
    const ids = Array.from({ length: 10_000 }, (_, i) => `b${i}`);
    await ledger.configure(facts(Object.fromEntries(ids.map((id) => [id, 1]))));
    const all = Object.fromEntries(ids.map((id) => [id, 1]));
    await ledger.settle(POOL, [statement("g1", 1, { full: true, held: all, wants: wants(3) })]);
    const state = await ledger.read(POOL);
    expect(state?.backends.reduce((sum, b) => sum + b.inflight, 0)).toBe(10_003);
  });

  it("publishes every change of a pool with its version", async () => {
    const prefix = newPrefix();
    const subscriber = redis.duplicate({ enableOfflineQueue: true });
    const events: { version: number; changes?: unknown[] }[] = [];
    subscriber.on("message", (_channel, text) => events.push(JSON.parse(text)));
    await subscriber.subscribe(`${prefix}:events`);
    const ledger = createRedisLedger({ redis, prefix });
    const version = await ledger.configure(facts({ a: 1, b: 1 }));
    await ledger.setMode(POOL, "a", "draining");
    await ledger.settle(POOL, [
      statement("g1", 1, { full: true, outcomes: { b: outcome({ failure: 3, failuresInRow: 3 }) } }),
    ]);
    await expect.poll(() => events.length).toBe(3);
    expect(events).toEqual([
      { type: "pool", pool: POOL, version },
      {
        type: "pool",
        pool: POOL,
        version: version + 1,
        changes: [{ backend: "a", health: "healthy", mode: "draining", reason: "initial" }],
      },
      {
        type: "pool",
        pool: POOL,
        version: version + 2,
        changes: [{ backend: "b", health: "unhealthy", mode: "active", reason: "traffic" }],
      },
    ]);
    subscriber.disconnect();
  });
});
