import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { configKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { readMembers } from "@evenkeel/runtime/presence.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createNursery } from "./test-support/process.ts";
import { until } from "./test-support/until.ts";
import { startBackend } from "./test-support/world.ts";

const url = inject("redisUrl");
const prefix = `monitor-main-test-${process.pid}`;

let redis: Redis;
const nursery = createNursery(prefix);

beforeAll(async () => {
  redis = openRedis({ url, name: "monitor-main-test" }, createLog("silent", { role: "test", id: "test" }));
  await until("redis answers", () => redis.status === "ready");
});
afterAll(() => {
  redis.disconnect();
  nursery.killAll();
});

const startProcess = nursery.start;

const documentOf = (backendUrl: string): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 0 }],
  routes: [],
  pools: ["shop", "billing"].map((name) => ({
    name,
    backends: [{ id: `${name}-1`, url: backendUrl }],
    health: { protocol: "http", intervalMs: 200, timeoutMs: 200 },
  })),
});

describe("the health-monitor process", () => {
  it("starts without Redis, alive but not ready", async () => {
    const monitor = await startProcess({ EVENKEEL_REDIS_URL: "redis://127.0.0.1:1" });
    expect((await monitor.get("/healthz")).status).toBe(200);
    expect(await monitor.get("/readyz")).toEqual({
      status: 503,
      text: JSON.stringify({ status: "not ready", reason: "redis unreachable" }),
    });
    expect(await monitor.exit("SIGTERM")).toEqual([0, null]);
  });

  it("is ready once a configuration is there, sweeps, outlives a killed one, and leaves in order", async () => {
    await using backend = await startBackend();
    const [first, second] = await Promise.all([
      startProcess({ EVENKEEL_REDIS_URL: url, EVENKEEL_NAME: "monitor-1" }),
      startProcess({ EVENKEEL_REDIS_URL: url, EVENKEEL_NAME: "monitor-2" }),
    ]);
    await until("redis is reached", async () =>
      (await first.get("/readyz")).text.includes("no configuration"),
    );
    await redis.hset(configKey(prefix), { version: 1, document: JSON.stringify(documentOf(backend.url)) });
    await until("both are ready", async () => (await first.ready()) && (await second.ready()));
    await until("both are present", async () => (await readMembers(redis, prefix)).length === 2);
    const names = (await readMembers(redis, prefix)).map(({ role, id }) => `${role} ${id}`);
    expect(names[0]).toMatch(/^health-monitor monitor-1\.[0-9a-z]{6}$/);
    await until("both sweep", async () => {
      const swept = await Promise.all([first, second].map((m) => m.metric("evenkeel_monitor_rounds_total")));
      return swept.every((count) => count > 0);
    });

    await first.exit("SIGKILL");
    const { probes } = backend;
    await until("the other one probes both pools", () => backend.probes > probes + 8);
    expect(await second.metric("evenkeel_monitor_probes_total")).toBeGreaterThan(0);

    expect(await second.exit("SIGTERM")).toEqual([0, null]);
    const left = (await readMembers(redis, prefix)).map(({ id }) => id);
    expect(left.filter((id) => id.startsWith("monitor-2"))).toEqual([]);
  });
});
