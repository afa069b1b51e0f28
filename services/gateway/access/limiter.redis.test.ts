// The rate limit with Redis servers of its own: what a request meets when they are many, slow or gone.
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { startClusterTopology } from "../../../test/support/redis-cluster.ts";
import { openNursery, redisExecutable, WHY_SKIPPED } from "../../../test/support/redis-process.ts";
import { createLimitFunction } from "./limit-function.ts";
import { createLimiter, LIMIT_TIMEOUT_MS, type LimitVerdict } from "./limiter.ts";
import { watchOutage } from "./outage.ts";

const silent = createLog("silent", { role: "test", id: "test" });
const WAIT = { timeout: 10_000 };
const LIMIT = { intervalUs: 60_000_000, burst: 3 };

async function open(url: string) {
  const redis = openRedis({ url, name: "limiter-test" }, silent);
  onTestFinished(() => redis.disconnect());
  await expect.poll(() => redis.status, WAIT).toBe("ready");
  return redis;
}

async function startOne() {
  const nursery = await openNursery();
  onTestFinished(() => nursery.stop());
  const port = await freePort();
  const start = () => nursery.start(port, "--save", "");
  return { server: await start(), start, url: `redis://127.0.0.1:${port}` };
}

async function setUp(url: string) {
  const lines: string[] = [];
  const log = { warn: () => lines.push("lost"), info: () => lines.push("back") };
  const redis = await open(url);
  const limiter = createLimiter({
    redis: createLimitFunction(redis),
    clock: () => performance.now(),
    outage: watchOutage(log as never, {}, "rate limit"),
    onUnavailable: () => {},
  });
  const take = (key: string) =>
    new Promise<LimitVerdict>((resolve) => {
      const verdict = limiter.take(key, LIMIT, resolve);
      if (verdict !== undefined) resolve(verdict);
    });
  return { take, lines };
}

describe.skipIf(redisExecutable === null)(`the limiter${WHY_SKIPPED}`, () => {
  it("works on every server of a Redis Cluster", async () => {
    const cluster = await startClusterTopology("limiter-test");
    onTestFinished(() => cluster.stop());
    const redis = await open(cluster.url);
    const { call } = createLimitFunction(redis);
    const keys = Array.from({ length: 30 }, (_, i) => `limiter-test:limit:r:client:${i}`);
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(keys.map((key) => call(key, LIMIT.intervalUs, LIMIT.burst)));
      expect(answers.every(([remaining]) => remaining === (round < 3 ? 2 - round : -1))).toBe(true);
    }
    const holding = await Promise.all(cluster.masters.map(({ client }) => client.dbsize()));
    expect(holding.every((size) => size > 0)).toBe(true);
  });

  it("lets requests pass while Redis hangs, none of them waiting long, and counts again afterwards", async () => {
    const { server, url } = await startOne();
    const { take, lines } = await setUp(url);
    await expect.poll(() => take("warm"), WAIT).not.toBeNull();
    await server.client.call("CLIENT", "PAUSE", "1500", "ALL");
    const waits: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      const before = performance.now();
      expect(await take(`hanging-${i}`)).toBeNull();
      waits.push(performance.now() - before);
    }
    const waited = waits.filter((ms) => ms > LIMIT_TIMEOUT_MS / 2);
    expect(waited.length).toBeLessThanOrEqual(10);
    expect(lines).toEqual(["lost"]);
    let tries = 0; // another key each time: of one this process alone would let only so many pass
    const logged = async () => {
      tries += 1;
      await take(`after-${tries}`);
      return lines;
    };
    await expect.poll(logged, WAIT).toEqual(["lost", "back"]);
  });

  it("does not take a stall of its own process for one of Redis", async () => {
    const { url } = await startOne();
    const { take } = await setUp(url);
    await expect.poll(() => take("warm"), WAIT).not.toBeNull();
    for (let i = 0; i < 10; i += 1) {
      const verdict = take(`stalled-${i}`);
      await new Promise<void>((resolve) => setImmediate(resolve)); // the call is on its way
      const until = performance.now() + 3 * LIMIT_TIMEOUT_MS;
      while (performance.now() < until);
      expect(await verdict).toMatchObject({ allowed: true });
    }
  });

  it("lets requests pass while Redis is gone, and counts again when an empty one takes its place", async () => {
    const { server, start, url } = await startOne();
    const { take } = await setUp(url);
    await expect.poll(() => take("warm"), WAIT).not.toBeNull();
    for (let i = 0; i < 3; i += 1) await take("a");
    expect(await take("a")).toMatchObject({ allowed: false });
    await server.kill();
    expect(await take("b")).toBeNull();
    await start();
    await expect.poll(() => take("b"), WAIT).toMatchObject({ allowed: true });
  });
});
