import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { afterAll, describe, expect, inject, it } from "vitest";
import { closeAll, http } from "../test-support/servers.ts";
import { until } from "../test-support/until.ts";
import {
  factsOf,
  INTERVAL_MS,
  type Observation,
  poolOf,
  startBackend,
  startMonitor,
} from "../test-support/world.ts";
import { doubtsKey } from "./doubts.ts";
import { SHARD_SIZE } from "./shards.ts";

const url = inject("redisUrl");
let prefixes = 0;
const newPrefix = () => `sweeping-test-${process.pid}-${prefixes++}`;

afterAll(closeAll);

describe.concurrent("health monitors on one Redis", () => {
  it("share the sweeps, and probe every backend about once per interval", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using first = startMonitor(url, prefix, "first");
    await using second = startMonitor(url, prefix, "second");
    const pools = Array.from({ length: 6 }, (_, i) => poolOf(`pool-${i}`, [backend.url]));
    const startedMs = performance.now();
    first.sweeping.configure(pools);
    second.sweeping.configure(pools);
    await until("both swept, all in all every pool many times", async () => {
      const swept = [await first.rounds(), await second.rounds()];
      return swept.every((count) => count > 0) && backend.probes > 10 * pools.length;
    });
    const intervals = (performance.now() - startedMs) / INTERVAL_MS;
    // Twice as many would be: each monitor for itself. The slack is for the first sweep of each pool.
    expect(backend.probes).toBeLessThan(1.5 * (intervals + 2) * pools.length);
  });

  it("go on when one of them stops", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using first = startMonitor(url, prefix, "first");
    await using second = startMonitor(url, prefix, "second");
    const pools = [poolOf("shop", [backend.url]), poolOf("billing", [backend.url])];
    for (const monitor of [first, second]) monitor.sweeping.configure(pools);
    await until("sweeps come", () => backend.probes > 2);
    await first.stop();
    const [before, probes] = [await second.rounds(), backend.probes];
    await until("the other one sweeps", async () => (await second.rounds()) > before + 3);
    expect(backend.probes).toBeGreaterThan(probes);
  });

  it("take a killed backend out after `fall` bad probes and back after `rise` good ones", async () => {
    const prefix = newPrefix();
    const observations: Observation[] = [];
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only", observations);
    const pool = poolOf("shop", [backend.url]);
    await until("the pool is in the ledger", () =>
      monitor.ledger.configure(factsOf(pool)).then(Boolean, () => false),
    );
    const healthIs = async (health: string) =>
      (await monitor.ledger.read("shop"))?.backends[0]?.health === health;

    monitor.sweeping.configure([pool]);
    await until("it is probed", () => observations.length > 2);
    await backend.kill();
    await until("it is unhealthy", () => healthIs("unhealthy"));
    await backend.revive();
    await until("it is healthy", () => healthIs("healthy"));

    const changes = observations.flatMap(({ transitions }, i) => transitions.map(({ to }) => ({ to, i })));
    expect(changes.map(({ to }) => to)).toEqual(["unhealthy", "healthy"]);
    const firstBad = observations.findIndex(({ findings }) => !findings[0]?.ok);
    const firstGoodAgain = observations.findIndex(({ findings }, i) => i > firstBad && findings[0]?.ok);
    expect(changes[0]?.i).toBe(firstBad + pool.fall - 1);
    expect(changes[1]?.i).toBe(firstGoodAgain + pool.rise - 1);
  });

  it("take a frozen backend out within 3.5 s, by probes alone", async () => {
    const prefix = newPrefix();
    const observations: Observation[] = [];
    let frozen = false;
    const backend = await http((_request, response) => {
      if (!frozen) response.end("ok");
    });
    await using monitor = startMonitor(url, prefix, "only", observations);
    const pool = resolvePool({
      name: "shop",
      backends: [{ id: "shop-1", url: backend }],
      health: { protocol: "http", intervalMs: 1_000, timeoutMs: 500, fall: 3 },
    });
    await until("the pool is in the ledger", () =>
      monitor.ledger.configure(factsOf(pool)).then(Boolean, () => false),
    );
    monitor.sweeping.configure([pool]);
    await until("it is probed", () => observations.length > 2);
    frozen = true;
    const frozenMs = Date.now();
    const change = () => observations.find(({ transitions }) => transitions.length > 0);
    await until("it is out", () => change() !== undefined);
    expect((change()?.atMs ?? Number.NaN) - frozenMs).toBeLessThan(3_500);
    expect(change()?.transitions).toMatchObject([{ to: "unhealthy", detail: "timeout" }]);
  });

  it("tell the ledger what the backends' agents say of them", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend('{"cpu": 0.25}');
    await using monitor = startMonitor(url, prefix, "only");
    const agent = { path: "/load", port: null, metrics: ["cpu"], weight: null, drain: null };
    const pool = { ...poolOf("shop", [backend.url]), reports: { header: [], agent } };
    await until("the pool is in the ledger", () =>
      monitor.ledger.configure(factsOf(pool)).then(Boolean, () => false),
    );
    monitor.sweeping.configure([pool]);
    await until("the metric is there", async () => {
      const state = await monitor.ledger.read("shop");
      return state?.backends[0]?.metrics.cpu === 0.25;
    });
  });

  it("follow the configuration: new pools, changed intervals, pools that are gone", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only");
    const schedulers = async () =>
      (await monitor.sweeping.engine.queue.getJobSchedulers())
        .map(({ key, every }) => `${key} every ${every}`)
        .toSorted();
    const rate = async () => {
      const { probes } = backend;
      const startedMs = performance.now();
      await until("more probes come", () => backend.probes >= probes + 12);
      return 12_000 / (performance.now() - startedMs);
    };

    monitor.sweeping.configure([poolOf("shop", [backend.url]), poolOf("billing", [backend.url])]);
    await until("one shard is scheduled", async () => (await schedulers()).join() === "0-of-1 every 500");
    await until("probes come", () => backend.probes > 0);
    expect(await rate()).toBeGreaterThan(7);
    monitor.sweeping.configure([poolOf("shop", [backend.url], 400)]);
    await until("the change is followed", async () => (await rate()) < 5);
    const many = Array.from({ length: SHARD_SIZE + 1 }, () => backend.url);
    monitor.sweeping.configure([poolOf("shop", many, 2_000)]);
    await until("it is cut anew", async () => (await schedulers()).length === 2);
    monitor.sweeping.configure([{ ...poolOf("shop", [backend.url]), probing: null }]);
    await until("none is left", async () => (await schedulers()).length === 0);
  });

  it("leave nothing behind in Redis but the schedulers and the next jobs", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only");
    monitor.sweeping.configure([poolOf("shop", [backend.url])]);
    await until("many rounds are done", () => backend.probes > 12);
    await monitor.stop();
    const jobs = (await monitor.redis.keys(`{${prefix}}:rounds:repeat:*:*`)).filter((key) =>
      /:\d+$/.test(key),
    );
    expect(jobs.length).toBe(1);
    expect(await monitor.redis.exists(`{${prefix}}:rounds:completed`, `{${prefix}}:rounds:failed`)).toBe(0);
  });

  it("probe fast what another of them doubts, until nobody does", async () => {
    const prefix = newPrefix();
    const observations: Observation[] = [];
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only", observations);
    const slow = poolOf("shop", [backend.url], 600_000);
    const pool = { ...slow, fall: 8, probing: slow.probing && { ...slow.probing, fastIntervalMs: 100 } };
    await until("the pool is in the ledger", () =>
      monitor.ledger.configure(factsOf(pool)).then(Boolean, () => false),
    );
    monitor.sweeping.configure([pool]);
    await backend.kill();
    await until("rounds come", async () => (await monitor.rounds()) > 1);
    await monitor.redis.zadd(doubtsKey(prefix), Date.now() + 10_000, "shop/shop-0");
    // Its next regular probe is minutes away.
    await until("it is unhealthy", () => observations.some(({ transitions }) => transitions.length > 0));
    await until("nobody doubts it", async () => (await monitor.redis.zcard(doubtsKey(prefix))) === 0);
  });

  it("take the rest of a round whose job was lost in between, and schedule the next", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only");
    monitor.sweeping.configure([poolOf("shop", [backend.url])]);
    await until("probes come", () => backend.probes > 2);
    const { queue } = monitor.sweeping.engine;
    // As if a monitor had been killed between taking a job and scheduling the next: it is active, with nobody's lock.
    const [next] = await queue.getJobSchedulers();
    const id = `repeat:0-of-1:${next?.next}`;
    await monitor.redis.zrem(queue.toKey("delayed"), id);
    await monitor.redis.lpush(queue.toKey("active"), id);
    const { probes } = backend;
    const startedMs = performance.now();
    await until("probes come again", () => backend.probes > probes + 4);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  it("schedule again what vanished from Redis without a reconnect", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only");
    monitor.sweeping.configure([poolOf("shop", [backend.url])]);
    await until("sweeps come", () => backend.probes > 2);
    await monitor.redis.del(await monitor.redis.keys(`{${prefix}}:*`));
    const { probes } = backend;
    await until("sweeps come again", () => backend.probes > probes + 2);
  });
});
