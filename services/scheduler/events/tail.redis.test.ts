// Events of real pools, through the event bus, by several schedulers.
import { facts } from "@evenkeel/core/ledger/fixtures.ts";
import { createConfigStore } from "@evenkeel/ledger/config-store.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { expect, inject, it, onTestFinished } from "vitest";
import { type Cursor, decodeCursor, encodeCursor } from "./cursor.ts";
import { createFollowers } from "./follow.ts";
import { createLogTail } from "./tail.ts";

const url = inject("redisUrl");
const log = createLog("silent", { role: "test", id: "test" });
const prefix = `tail-test-${process.pid}`;
const POOLS = ["shop", "billing", "spare"];
const QUERY = { pool: null, wanted: () => true, limit: 3 };

/** What a scheduler has of it. */
async function startTail(own: string) {
  const redis = openRedis({ url, name: "tail-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
  const ledger = createRedisLedger({ redis, prefix: own });
  const configs = createConfigStore({ redis, prefix: own });
  const tail = createLogTail({ ledger, configs });
  const bus = subscribeEvents(openSubscriber({ url, name: "tail-test" }, log), own, {
    onEvent: (event) => event.type === "pool" && tail.changed(event.pool),
    onGap: tail.gap,
  });
  onTestFinished(() => {
    tail.end();
    bus.close();
    redis.disconnect();
  });
  return { tail, ledger, configs, followers: createFollowers(tail) };
}

it("are followed by turns of two schedulers, and none is lost or told twice", async () => {
  const schedulers = [await startTail(prefix), await startTail(prefix)] as const;
  const [{ ledger, configs }] = schedulers;
  const pools = POOLS.map((name) => ({
    name,
    backends: [{ id: `${name}-1`, url: "http://127.0.0.1:9001" }],
  }));
  await configs.apply({ listeners: [{ name: "web", protocol: "http", port: 1 }], routes: [], pools }, 0);
  for (const pool of POOLS) await ledger.configure(facts({ a: 1 }, { pool }));
  const told: string[] = [];
  let cursor: Cursor = (await schedulers[0].followers.next(null, QUERY, 0)).cursor;

  const changes = (async () => {
    for (let i = 0; i < 60; i += 1)
      await ledger.setMode(POOLS[i % 3] as string, "a", i % 6 < 3 ? "draining" : "active");
  })();
  for (let turn = 0; told.length < 60; turn += 1) {
    const { followers } = schedulers[turn % 2] as (typeof schedulers)[0];
    const page = await followers.next(decodeCursor(encodeCursor(cursor)), QUERY, 5_000);
    expect(page.events.length).toBeGreaterThan(0);
    told.push(...page.events.map(({ id }) => id));
    cursor = page.cursor;
  }
  await changes;
  for (const pool of POOLS) {
    const all = (await ledger.events(pool, null, 1_000)).filter(({ event }) => event.type === "mode");
    expect(told.filter((id) => id.startsWith(`${pool}/`))).toEqual(all.map(({ id }) => `${pool}/${id}`));
  }
});
