import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { configKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { type Addresses, startAddresses } from "./test-support/addresses.ts";
import { createNursery, type MonitorProcess } from "./test-support/process.ts";
import { startRelay } from "./test-support/relay.ts";
import { until } from "./test-support/until.ts";
import { factsOf } from "./test-support/world.ts";

/** Enough for several shards. */
const BACKENDS = 450;
const INTERVAL_MS = 1_000;
/** No backend is ever left alone for longer. */
const PAUSE_MAX_MS = 3 * INTERVAL_MS;

/** Processes are started and stopped, and pauses are waited for. */
const TEST_TIMEOUT_MS = 90_000;

const url = inject("redisUrl");
let prefix: string;
let cases = 0;
let redis: Redis;
let nursery: ReturnType<typeof createNursery>;

beforeAll(async () => {
  redis = openRedis({ url, name: "sharing-test" }, createLog("silent", { role: "test", id: "test" }));
  await until("redis answers", () => redis.status === "ready");
});
afterEach(() => nursery.killAll());
afterAll(() => redis.disconnect());

const start = (name: string, redisUrl = url) =>
  nursery.start({ EVENKEEL_REDIS_URL: redisUrl, EVENKEEL_NAME: name });

const rounds = (monitor: MonitorProcess) => monitor.metric("evenkeel_monitor_rounds_total");

async function takesPart(monitor: MonitorProcess): Promise<void> {
  const before = await rounds(monitor);
  await until("it takes rounds", async () => (await rounds(monitor)) > before + 3);
}

/** Started up and warm: every backend is probed about when it is due. */
async function keepUp(backends: Addresses, ...monitors: MonitorProcess[]): Promise<void> {
  await Promise.all(monitors.map(takesPart));
  const inTime = async () => {
    backends.forget();
    await until("all were probed", () => backends.asked() === BACKENDS);
    return backends.longestPauseMs() < 1.25 * INTERVAL_MS;
  };
  await until("they keep up", inTime, TEST_TIMEOUT_MS / 2);
  backends.forget();
}

/** A pool over these addresses; one bad finding takes a backend out, so that a single wrong one shows. */
async function apply(urls: readonly string[]): Promise<void> {
  prefix = `sharing-test-${process.pid}-${cases++}`;
  nursery = createNursery(prefix);
  const pool: PoolDocument = {
    name: "shop",
    backends: urls.map((one, i) => ({ id: `shop-${i}`, url: one })),
    health: { protocol: "http", intervalMs: INTERVAL_MS, timeoutMs: INTERVAL_MS, fall: 1 },
  };
  const document: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port: 0 }],
    routes: [],
    pools: [pool],
  };
  await createRedisLedger({ redis, prefix }).configure(factsOf(resolvePool(pool)));
  await redis.hset(configKey(prefix), { version: 1, document: JSON.stringify(document) });
}

const changes = async () => {
  const state = await createRedisLedger({ redis, prefix }).read("shop");
  return state?.backends.filter(({ health }) => health !== "healthy").map(({ id }) => id);
};

describe("health-monitors that share the probing", { timeout: TEST_TIMEOUT_MS }, () => {
  it("leave no backend alone when one of them is killed", async () => {
    await using backends = await startAddresses(BACKENDS);
    await apply(backends.urls);
    const [first, second] = await Promise.all([start("one"), start("two")]);
    await keepUp(backends, first, second);
    await first.exit("SIGKILL");
    await until("all were probed by the other", () => backends.asked() === BACKENDS);
    backends.forget();
    await takesPart(second);
    await until("all were probed again", () => backends.asked() === BACKENDS);
    expect(backends.longestPauseMs()).toBeLessThan(PAUSE_MAX_MS);
    expect(await changes()).toEqual([]);
  });

  it("leave none alone when one of them hangs, and hear nothing stale when it goes on", async () => {
    await using backends = await startAddresses(BACKENDS);
    await apply(backends.urls);
    const [first, second] = await Promise.all([start("one"), start("two")]);
    await keepUp(backends, first, second);
    first.child.kill("SIGSTOP");
    for (let i = 0; i < 4; i += 1) await takesPart(second);
    await until("all were probed by the other", () => backends.asked() === BACKENDS);
    expect(backends.longestPauseMs()).toBeLessThan(PAUSE_MAX_MS);
    first.child.kill("SIGCONT");
    await takesPart(first);
    expect(await changes()).toEqual([]);
  });

  it("leave none alone when one of them is cut off from Redis, and take it in again", async () => {
    const { hostname, port } = new URL(url);
    await using backends = await startAddresses(BACKENDS);
    await using relay = await startRelay({ host: hostname, port: Number(port) });
    await apply(backends.urls);
    const [first, second] = await Promise.all([
      start("one", `redis://127.0.0.1:${relay.port}`),
      start("two"),
    ]);
    await keepUp(backends, first, second);
    relay.cut();
    for (let i = 0; i < 4; i += 1) await takesPart(second);
    await until("all were probed by the other", () => backends.asked() === BACKENDS);
    expect(backends.longestPauseMs()).toBeLessThan(PAUSE_MAX_MS);
    relay.heal();
    await takesPart(first);
    expect(await changes()).toEqual([]);
  });

  it("take in who joins, and miss nothing when one leaves in order", async () => {
    await using backends = await startAddresses(BACKENDS);
    await apply(backends.urls);
    const first = await start("one");
    await takesPart(first);
    const second = await start("two");
    await keepUp(backends, first, second);
    expect(await first.exit("SIGTERM")).toEqual([0, null]);
    await takesPart(second);
    await until("all were probed", () => backends.asked() === BACKENDS);
    // An orderly leave loses no round; what is above two intervals would be a lost one.
    expect(backends.longestPauseMs()).toBeLessThan(2 * INTERVAL_MS);
    expect(await changes()).toEqual([]);
  });
});
