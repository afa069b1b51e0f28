import { describe, expect, inject, it } from "vitest";
import { redisServerInstalled, startRedisServer } from "../test-support/redis-server.ts";
import { startRelay } from "../test-support/relay.ts";
import { until } from "../test-support/until.ts";
import { INTERVAL_MS, poolOf, startBackend, startMonitor } from "../test-support/world.ts";

type Monitor = ReturnType<typeof startMonitor>;

const sabotage = {
  paused: ({ sweeping }: Monitor) => sweeping.engine.worker.pause(true),
  closed: ({ sweeping }: Monitor) => sweeping.engine.worker.close(true),
};

describe.concurrent("a worker that stopped behind the monitor's back", () => {
  it.each(Object.keys(sabotage) as (keyof typeof sabotage)[])(
    "is replaced when it was %s, and sweeping goes on",
    async (how) => {
      const prefix = `watchdog-test-${process.pid}-${how}`;
      await using backend = await startBackend();
      await using monitor = startMonitor(inject("redisUrl"), prefix, "only");
      monitor.sweeping.configure([poolOf("shop", [backend.url])]);
      await until("sweeps come", () => backend.probes > 2);
      const broken = monitor.sweeping.engine;
      await sabotage[how](monitor);
      await until("the watchdog acts", async () => (await monitor.restarts()) === 1);
      await until("the worker is another one", () => monitor.sweeping.engine !== broken);
      const { probes } = backend;
      await until("sweeps come again", () => backend.probes > probes + 5);
      expect(await monitor.restarts()).toBe(1);
    },
  );

  it("hears nothing any more from Redis, which others do: probing goes on", async () => {
    const { hostname, port } = new URL(inject("redisUrl"));
    const prefix = `watchdog-test-${process.pid}-deaf`;
    await using backend = await startBackend();
    await using relay = await startRelay({ host: hostname, port: Number(port) });
    await using monitor = startMonitor(
      inject("redisUrl"),
      prefix,
      "only",
      [],
      `redis://127.0.0.1:${relay.port}`,
    );
    monitor.sweeping.configure([poolOf("shop", [backend.url])]);
    await until("probes come", () => backend.probes > 2);
    relay.cut("present");
    let last = { probes: backend.probes, atMs: performance.now() };
    await until("no more come", () => {
      if (backend.probes !== last.probes) last = { probes: backend.probes, atMs: performance.now() };
      return performance.now() - last.atMs > 4 * INTERVAL_MS;
    });
    const { probes } = backend;
    await until("probes come again", () => backend.probes > probes + 5);
  });

  it("is not missed while another monitor sweeps", async () => {
    const prefix = `watchdog-test-${process.pid}-spare`;
    await using backend = await startBackend();
    await using idle = startMonitor(inject("redisUrl"), prefix, "idle");
    await using busy = startMonitor(inject("redisUrl"), prefix, "busy");
    const pools = [poolOf("shop", [backend.url])];
    for (const monitor of [idle, busy]) monitor.sweeping.configure(pools);
    await until("sweeps come", () => backend.probes > 2);
    await idle.sweeping.engine.worker.pause(true);
    const { probes } = backend;
    // 40 sweeps at 200 ms take 8 s, longer than the limit of 6 s.
    await until("the other one has swept for longer than the limit", () => backend.probes > probes + 40);
    expect(await idle.restarts()).toBe(0);
  });
});

describe.skipIf(!redisServerInstalled).concurrent("Redis killed and started again", () => {
  it.each(["nothing", "everything"] as const)(
    "and remembering %s is survived by all monitors: the schedulers are there and probing goes on",
    async (remembering) => {
      await using server = await startRedisServer(remembering);
      await using backend = await startBackend();
      await using first = startMonitor(server.url, "restart", "first");
      await using second = startMonitor(server.url, "restart", "second");
      const pools = [poolOf("shop", [backend.url]), poolOf("billing", [backend.url])];
      for (const monitor of [first, second]) monitor.sweeping.configure(pools);
      for (let round = 0; round < 2; round += 1) {
        const { probes } = backend;
        await until("probes come", () => backend.probes > probes + 6);
        await server.kill();
        await until("the loss is noticed", () =>
          [first, second].every(({ redis }) => redis.status !== "ready"),
        );
        await server.restart();
      }
      const { probes } = backend;
      await until("probes come again", () => backend.probes > probes + 6);
      expect(await first.sweeping.engine.queue.getJobSchedulersCount()).toBe(1);
    },
  );
});
