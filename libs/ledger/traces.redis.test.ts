// Random histories, gone through by the model and by Redis side by side. LEDGER_TRACES sets how many.
import { POOL } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger, LedgerEvent, PoolState, Rows, SettleResult } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { orderKey, type PoolKey, poolKey } from "./keys.ts";
import { createRedisLedger } from "./redis-ledger.ts";
import { player, START_MS, type Step, type Trace, traces, ZONES } from "./test-support/trace.ts";

const TRACES = Number(process.env.LEDGER_TRACES ?? 200);
const SEED = Number(process.env.LEDGER_TRACES_SEED ?? 20_261_121);
const STEPS_MAX = 30;
const MS_PER_TRACE_MAX = 600;

const log = createLog("silent", { role: "test", id: "test" });
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "traces-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

/** How often what a trace is meant to reach was reached. */
const reached = new Map<string, number>();
const reach = (what: string, times = 1) => reached.set(what, (reached.get(what) ?? 0) + times);

describe("random traces of settles, losses, duplicates, late arrivals, expiries, health, mode, policy and weight changes", () => {
  it(
    "are answered alike by Redis and the model, and leave in Redis exactly what follows from the rows and facts",
    async () => {
      await fc.assert(fc.asyncProperty(traces(STEPS_MAX), goThrough), { numRuns: TRACES, seed: SEED });
      if (process.env.LEDGER_TRACES)
        process.stderr.write(`${JSON.stringify(Object.fromEntries([...reached].sort()))}\n`);
      for (const what of MEANT_TO_REACH) expect(reached.get(what) ?? 0, what).toBeGreaterThan(TRACES / 20);
    },
    TRACES * MS_PER_TRACE_MAX,
  );
});

async function goThrough({ start, steps }: Trace): Promise<void> {
  let nowMs = START_MS;
  const prefix = `traces-test-${process.pid}-${prefixes++}`;
  const key = (name: PoolKey) => poolKey(prefix, POOL, name);
  const real = createRedisLedger({ redis, prefix, clock: () => nowMs });
  const model = createModelLedger(() => nowMs);
  await real.configure(start);
  await model.configure(start);
  const playReal = player(real, start);
  const playModel = player(model, start);
  const logOf = { real: logReader(real), model: logReader(model) };
  let policy = start.policy;
  for (const s of [...steps, { kind: "read" } as const]) {
    if (s.kind === "advance") nowMs += s.ms;
    if (s.kind === "forget") await redis.hset(key("meta"), "rev", "another");
    if (s.kind === "configure") policy = s.facts.policy;
    if (s.kind === "change") policy = s.policy;
    const answer = await playModel(s);
    expect(await playReal(s)).toEqual(answer);
    const happened = await logOf.model();
    expect(await logOf.real()).toEqual(happened);
    for (const event of happened) noteEvent(event);
    const stored = await storedIn(prefix);
    expect(stored.order).toEqual(model.order(POOL));
    expectSums(stored, await model.rows(POOL));
    note(s, policy, answer, stored);
  }
  await real.remove(POOL, Number.MAX_SAFE_INTEGER);
  expect(await redis.keys(`${prefix}*`)).toEqual([key("events")]);
  expect(await redis.del(key("events"))).toBe(1);
}

/** What was logged since it was asked last. */
function logReader(ledger: Ledger) {
  let after: string | null = null;
  return async (): Promise<LedgerEvent[]> => {
    const entries = await ledger.events(POOL, after, 1_000);
    after = entries.at(-1)?.id ?? after;
    return entries.map(({ event }) => event);
  };
}

interface Stored {
  order: Map<string, number>;
  inflight: Map<string, number>;
  weight: Map<string, number>;
  total: number;
  totalWeight: number;
  rows: Rows;
  /** What is kept to save looking at each backend, and what it follows from. */
  kept: { failing: number; out: string[]; wished: string[] };
  follows: { failing: number; out: string[]; wished: string[] };
}

async function storedIn(prefix: string): Promise<Stored> {
  const key = (name: PoolKey) => poolKey(prefix, POOL, name);
  const sets = [
    key("order"),
    ...ZONES.map((zone) => orderKey(prefix, POOL, zone)),
    key("inflight"),
    key("weight"),
  ];
  const pipeline = redis.pipeline();
  for (const set of sets) pipeline.call("ZRANGE", set, 0, -1, "WITHSCORES");
  pipeline.hmget(key("meta"), "total", "totalWeight", "failing");
  const [answers, healths, windows, out, wished, rows] = await Promise.all([
    pipeline.exec(),
    redis.hgetall(key("health")),
    redis.hkeys(key("window")),
    redis.zrange(key("out"), "0", "-1"),
    redis.zrange(key("wished"), "0", "-1"),
    createRedisLedger({ redis, prefix }).rows(POOL),
  ]);
  const values = (answers ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const [total, totalWeight, failing] = (values.pop() as string[]).map(Number) as [number, number, number];
  const those = (which: (health: { strikes: number; health: string; weightPercent?: number }) => boolean) =>
    Object.keys(healths)
      .filter((id) => which(JSON.parse(healths[id] as string)))
      .sort();
  const [weight, inflight, ...orders] = (values as string[][][]).map(scores).reverse() as [
    Map<string, number>,
    Map<string, number>,
  ];
  const order = new Map((orders as Map<string, number>[]).flatMap((part) => [...part]));
  const kept = { failing, out: out.sort(), wished: wished.sort() };
  const follows = {
    failing: new Set([...those(({ strikes }) => strikes > 0), ...windows]).size,
    out: those(({ health }) => health === "unhealthy"),
    wished: those(({ weightPercent }) => weightPercent !== undefined),
  };
  return { order, inflight, weight, total, totalWeight, rows, kept, follows };
}

const scores = (pairs: string[][]) => new Map(pairs.map(([id, score]) => [String(id), Number(score)]));

function expectSums(
  { inflight, weight, total, totalWeight, rows, kept, follows }: Stored,
  modelRows: Rows,
): void {
  expect(rows).toEqual(modelRows);
  const sums = new Map<string, number>();
  for (const row of Object.values(rows))
    for (const [id, n] of Object.entries(row)) sums.set(id, (sums.get(id) ?? 0) + n);
  const add = (a: number, b: number) => a + b;
  expect(inflight).toEqual(sums);
  expect(kept).toEqual(follows);
  expect(total).toBe([...weight.keys()].map((id) => sums.get(id) ?? 0).reduce(add, 0));
  expect(totalWeight).toBe([...weight.values()].reduce(add, 0));
}

const MEANT_TO_REACH = [
  ...["least-connections", "round-robin", "least-time", "two-choices", "random"].map((p) => `picks by ${p}`),
  ...["first", "hash", "geo", "criteria"].map((p) => `picks by ${p}`),
  ...["no pick", "stale", "resync", "panic", "out", "slow start", "several tiers", "full backend"],
  ...[
    "session kept",
    "preferred",
    "preferred, of a tier not needed",
    "spilled",
    "ranked first",
    "metrics",
    "clock set back",
    "silent gateways",
    "forgotten",
  ],
  ...["health by probe", "health by traffic", "health by probation", "mode", "agent", "panic", "members"].map(
    (what) => `logged ${what}`,
  ),
  ...["left by share of failures", "left again", "agent's wish", "not before a time", "probed"],
];

function note(s: Step, policy: string, answer: unknown, { weight }: Stored): void {
  if (s.kind === "forget") reach("forgotten");
  if (s.kind === "advance" && s.ms < 0) reach("clock set back");
  if (s.kind === "advance" && s.ms > 3_000) reach("silent gateways");
  if (s.kind === "settle") noteReplies(s, policy, answer as SettleResult, weight);
  if (s.kind === "read") noteState(answer as PoolState);
}

function noteEvent(event: LedgerEvent): void {
  reach(`logged ${event.type === "health" ? `health by ${event.reason}` : event.type}`);
  if (event.type !== "health" || event.to === "healthy") return;
  if (event.detail?.includes("% of")) reach("left by share of failures");
  if (event.ejections > 1) reach("left again");
}

function noteReplies(
  s: Step & { kind: "settle" },
  policy: string,
  { replies }: SettleResult,
  weight: Stored["weight"],
): void {
  for (const [i, { status, resync, picks }] of replies.entries()) {
    if (status === "stale") reach("stale");
    if (resync) reach("resync");
    for (const [j, id] of picks.entries()) {
      const want = s.statements[i]?.wants[j];
      reach(id ? `picks by ${policy}` : "no pick");
      if (id && want?.stick === id) reach("session kept");
      if (id && want?.prefer) reach(want.prefer.backend === id ? "preferred" : "spilled");
      if (id && !weight.has(id)) {
        expect(want?.prefer?.backend).toBe(id);
        reach("preferred, of a tier not needed");
      }
      if (id && policy === "hash" && want?.ranked?.[0] === id) reach("ranked first");
    }
  }
}

function noteState({ panic, backends }: PoolState): void {
  if (panic) reach("panic");
  for (const b of backends) {
    if (b.health === "unhealthy") reach("out");
    if (b.effectiveWeight > 0 && b.effectiveWeight < b.weight) reach("slow start");
    if (b.maxInflight !== null && b.inflight >= b.maxInflight) reach("full backend");
    if (b.effectiveWeight > 0 && b.priority > 0) reach("several tiers");
    if (Object.keys(b.metrics).length > 0) reach("metrics");
    if (b.agent) reach("agent's wish");
    if (b.returnsMs) reach("not before a time");
    if (b.probedMs) reach("probed");
  }
}
