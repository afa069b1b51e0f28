// Many backends, many pools, many schedulers.
import { facts, POOL, statement, wants } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { createRedisLedger } from "./redis-ledger.ts";

const log = createLog("silent", { role: "test", id: "test" });

let redis: Redis;
let prefix: string;
let prefixes = 0;

const open = async (): Promise<Redis> => {
  const one = openRedis({ url: inject("redisUrl"), name: "scale-test", commandTimeoutMs: 20_000 }, log);
  await new Promise((resolve) => one.once("ready", resolve));
  return one;
};

beforeAll(async () => {
  redis = await open();
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  prefix = `scale-test-${process.pid}-${prefixes++}`;
});

const each = (n: number, value: number) =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`b${i}`, value]));

const inflightOf = async (ledger: Ledger) =>
  (await ledger.read(POOL))?.backends.map(({ inflight }) => inflight) ?? [];

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

describe("the Redis ledger serves", () => {
  it("10,000 backends: full rows, and picks that go to all of them before any is picked again", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    await ledger.configure(facts(each(10_000, 1)));
    await ledger.settle(POOL, [statement("g1", 1, { full: true, held: each(10_000, 1) })]);
    const picked = new Set<string | null>();
    for (let seq = 2; seq <= 11; seq += 1) {
      const result = await ledger.settle(POOL, [statement("g1", seq, { wants: wants(1_000) })]);
      for (const id of result?.replies[0]?.picks ?? []) picked.add(id);
    }
    expect(picked.size).toBe(10_000);
    const inflight = await inflightOf(ledger);
    expect(new Set(inflight)).toEqual(new Set([2]));
    await ledger.remove(POOL, 1);
  });

  it("more large pools than a server remembers at once, as any other", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    const pools = Array.from({ length: 7 }, (_, i) => `large-${i}`);
    for (const pool of pools) await ledger.configure(facts(each(10_000, 1), { pool }));
    for (const seq of [1, 2]) {
      for (const pool of pools) {
        const held = seq === 1 ? each(10_000, 1) : { b7: 0 };
        const result = await ledger.settle(pool, [
          statement("g1", seq, { full: seq === 1, held, wants: seq === 1 ? [] : wants(1) }),
        ]);
        expect(result?.replies[0]?.picks).toEqual(seq === 1 ? [] : ["b7"]);
      }
    }
    const rows = await Promise.all(pools.map((pool) => ledger.rows(pool)));
    expect(rows.map(({ g1 }) => sum(Object.values(g1 ?? {})))).toEqual(pools.map(() => 10_000));
    await Promise.all(pools.map((pool) => ledger.remove(pool, 1)));
  });

  it("1,000 pools, each with counts of its own", async () => {
    const ledger = createRedisLedger({ redis, prefix });
    const pools = Array.from({ length: 1_000 }, (_, i) => `pool-${i}`);
    await Promise.all(pools.map((pool) => ledger.configure(facts(each(5, 1), { pool }))));
    for (const seq of [1, 2])
      await Promise.all(
        pools.map((pool, i) =>
          ledger.settle(pool, [statement("g1", seq, { full: seq === 1, wants: wants(1 + (i % 5)) })]),
        ),
      );
    const rows = await Promise.all(pools.map((pool) => ledger.rows(pool)));
    expect(rows.map(({ g1 }) => sum(Object.values(g1 ?? {})))).toEqual(
      pools.map((_, i) => 2 * (1 + (i % 5))),
    );
    await Promise.all(pools.map((pool) => ledger.remove(pool, 1)));
  });

  it("several schedulers that settle for the same pool at once, without losing a count", async () => {
    const connections = await Promise.all([open(), open(), open()]);
    const ledgers = connections.map((connection) => createRedisLedger({ redis: connection, prefix }));
    const ledger = ledgers[0] as Ledger;
    await ledger.configure(facts(each(20, 1)));
    const held: Record<string, Record<string, number>> = {};
    const schedule = async (own: Ledger, scheduler: number) => {
      for (let seq = 1; seq <= 60; seq += 1) {
        const statements = [0, 1].map((i) => {
          const gateway = `g${scheduler}-${i}`;
          const row = held[gateway] ?? {};
          held[gateway] = row;
          const [released] = Object.entries(row).filter(([, n]) => n > 0);
          if (released && seq % 2 === 0) row[released[0]] = 0;
          return statement(gateway, seq, {
            full: seq === 1,
            held: released ? { [released[0]]: row[released[0]] as number } : {},
            wants: wants(3),
          });
        });
        const result = await own.settle(POOL, statements);
        for (const [i, s] of statements.entries()) {
          const row = held[s.gateway] as Record<string, number>;
          for (const id of result?.replies[i]?.picks ?? []) row[String(id)] = (row[String(id)] ?? 0) + 1;
        }
      }
    };
    await Promise.all(ledgers.map(schedule));
    const present = Object.entries(held).map(([gateway, row]) => [
      gateway,
      Object.fromEntries(Object.entries(row).filter(([, n]) => n > 0)),
    ]);
    expect(await ledger.rows(POOL)).toEqual(Object.fromEntries(present));
    const inflight = await inflightOf(ledger);
    expect(sum(inflight)).toBe(sum(Object.values(held).flatMap((row) => Object.values(row))));
    for (const connection of connections) connection.disconnect();
  });
});
