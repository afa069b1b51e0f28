import { describe, expect, inject, it } from "vitest";
import { until } from "../test-support/until.ts";
import {
  factsOf,
  INTERVAL_MS,
  type Observation,
  poolOf,
  startBackend,
  startMonitor,
} from "../test-support/world.ts";

const url = inject("redisUrl");
let prefixes = 0;
const newPrefix = () => `sweeping-test-${process.pid}-${prefixes++}`;

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
      const swept = [await first.sweeps(), await second.sweeps()];
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
    const [before, probes] = [await second.sweeps(), backend.probes];
    await until("the other one sweeps", async () => (await second.sweeps()) > before + 3);
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

  it("tell the ledger what the backends' agents say of them", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend('{"cpu": 0.25}');
    await using monitor = startMonitor(url, prefix, "only");
    const agent = { path: "/load", port: null, metrics: ["cpu"] };
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
    const scheduled = async () =>
      (await monitor.sweeping.engine.queue.getJobSchedulers())
        .map(({ key, every }) => `${key} every ${every}`)
        .toSorted();

    monitor.sweeping.configure([poolOf("shop", [backend.url]), poolOf("billing", [backend.url])]);
    await until("both are scheduled", async () => (await scheduled()).length === 2);
    expect(await scheduled()).toEqual(["billing/0-of-1 every 200", "shop/0-of-1 every 200"]);

    monitor.sweeping.configure([poolOf("shop", [backend.url], 300)]);
    await until("one is left", async () => (await scheduled()).join() === "shop/0-of-1 every 300");

    monitor.sweeping.configure([{ ...poolOf("shop", [backend.url]), probing: null }]);
    await until("none is left", async () => (await scheduled()).length === 0);
  });

  it("leave nothing behind in Redis but the schedulers and the next jobs", async () => {
    const prefix = newPrefix();
    await using backend = await startBackend();
    await using monitor = startMonitor(url, prefix, "only");
    monitor.sweeping.configure([poolOf("shop", [backend.url])]);
    await until("many sweeps are done", () => backend.probes > 12);
    await monitor.stop();
    const jobs = (await monitor.redis.keys(`{${prefix}}:sweeps:repeat:*:*`)).filter((key) =>
      /:\d+$/.test(key),
    );
    expect(jobs.length).toBe(1);
    expect(await monitor.redis.exists(`{${prefix}}:sweeps:completed`, `{${prefix}}:sweeps:failed`)).toBe(0);
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
