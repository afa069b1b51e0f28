import { limitOf, take } from "@evenkeel/core/limits/gcra.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import fc from "fast-check";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { createLimitFunction } from "./limit-function.ts";

const silent = createLog("silent", { role: "test", id: "test" });
const WAIT = { timeout: 5_000 };
const PREFIX = `rate-limit-test-${process.pid}`;
let keys = 0;

async function openTestRedis() {
  const redis = openRedis({ url: inject("redisUrl"), name: "rate-limit-test" }, silent);
  onTestFinished(() => redis.disconnect());
  await expect.poll(() => redis.status, WAIT).toBe("ready");
  return redis;
}

function newKey(): string {
  keys += 1;
  return `${PREFIX}:${keys}`;
}

/** Long ones: keys expire by Redis's clock, and the traces run by another. */
const limits = fc
  .record({
    requests: fc.integer({ min: 1, max: 50 }),
    perMs: fc.integer({ min: 600_000, max: 3_600_000 }),
    burst: fc.integer({ min: 1, max: 20 }),
  })
  .map(limitOf);

const gaps = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: 2_000_000_000 })),
  { minLength: 1, maxLength: 40 },
);

describe("the rate limit in Redis", () => {
  it("answers what the model answers, on random traces", async () => {
    const redis = await openTestRedis();
    let now = 0;
    const limiter = createLimitFunction(redis, () => now);
    await fc.assert(
      fc.asyncProperty(limits, fc.integer({ min: 0, max: 2 ** 46 }), gaps, async (limit, start, pauses) => {
        const key = newKey();
        let kept: number | null = null;
        now = start;
        for (const pause of pauses) {
          now += pause;
          const expected = take(kept, now, limit);
          kept = expected.arrivalUs;
          const answer = await limiter.call(key, limit.intervalUs, limit.burst);
          expect(answer).toEqual([expected.allowed ? expected.remaining : -1, expected.waitUs]);
          if (expected.allowed) expect(Number(await redis.get(key))).toBe(expected.arrivalUs);
        }
        await redis.del(key);
      }),
      { numRuns: 60, seed: 21 },
    );
  });

  it("is one limit for all gateways", async () => {
    const redis = await openTestRedis();
    const gateways = await Promise.all(
      [1, 2, 3, 4].map(async () => createLimitFunction(await openTestRedis())),
    );
    const key = newKey();
    const answers = await Promise.all(
      gateways.flatMap((gateway) => Array.from({ length: 25 }, () => gateway.call(key, 60_000_000, 10))),
    );
    expect(answers.filter(([remaining]) => remaining >= 0)).toHaveLength(10);
    await redis.del(key);
  });

  it("leaves nothing behind once a bucket is full again", async () => {
    const redis = await openTestRedis();
    const key = newKey();
    await createLimitFunction(redis).call(key, 500_000, 5);
    const leftMs = await redis.pttl(key);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(500);
    await expect.poll(() => redis.exists(key), WAIT).toBe(0);
  });

  it("stores nothing for a refused request", async () => {
    const redis = await openTestRedis();
    const limiter = createLimitFunction(redis);
    const key = newKey();
    await limiter.call(key, 60_000_000, 1);
    const kept = await redis.get(key);
    const [remaining, waitUs] = await limiter.call(key, 60_000_000, 1);
    expect(remaining).toBe(-1);
    expect(waitUs).toBeGreaterThan(59_000_000);
    expect(await redis.get(key)).toBe(kept);
    await redis.del(key);
  });

  it("brings its function along where a server lost it", async () => {
    const redis = await openTestRedis();
    const limiter = createLimitFunction(redis);
    const key = newKey();
    await limiter.call(key, 1_000, 5);
    const libraries = (await redis.function("LIST", "LIBRARYNAME", "evenkeel_limit_*")) as unknown[][];
    for (const library of libraries) await redis.function("DELETE", nameOf(library));
    const answers = await Promise.all([1, 2, 3].map(() => limiter.call(key, 60_000_000, 5)));
    expect(answers.every(([remaining]) => remaining >= 0)).toBe(true);
  });
});

/** RESP2 answers a list of names and values, RESP3 a map. */
function nameOf(library: unknown): string {
  if (Array.isArray(library)) return String(library[library.indexOf("library_name") + 1]);
  return String((library as Record<string, unknown>).library_name);
}
