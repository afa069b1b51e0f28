import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import { parseEvent } from "@evenkeel/core/wire/events.ts";
import { eventChannel, registrationIndexKey, registrationKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createRegistrations } from "./registrations.ts";

const log = createLog("silent", { role: "test", id: "test" });
const TTL_MS = 60_000;
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "registrations-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const backend = (id: string, more: Partial<BackendDocument> = {}): BackendDocument => ({
  id,
  url: "http://10.0.0.1:80",
  ...more,
});

function scene() {
  const prefix = `registrations-test-${process.pid}-${prefixes++}`;
  onTestFinished(async () => {
    const keys = await redis.keys(`${prefix}:*`);
    if (keys.length > 0) await redis.del(...keys);
  });
  const registrations = createRegistrations({ redis, prefix });
  const names = async () =>
    (await registrations.list()).registered.map((one) => `${one.pool}/${one.backend.id}`);
  return { prefix, names, ...registrations };
}

describe("registrations", () => {
  it("lists who registered, with when it last renewed by Redis's clock", async () => {
    const { put, list } = scene();
    expect((await list()).registered).toEqual([]);
    await put("shop", backend("b", { weight: 3 }), TTL_MS);
    await put("shop", backend("a"), TTL_MS);
    await put("other", backend("a"), TTL_MS);
    const { nowMs, registered } = await list();
    expect(registered.map(({ pool, backend: { id } }) => [pool, id])).toEqual([
      ["other", "a"],
      ["shop", "a"],
      ["shop", "b"],
    ]);
    expect(registered[2]).toMatchObject({ backend: backend("b", { weight: 3 }), ttlMs: TTL_MS });
    for (const { renewedMs } of registered) expect(nowMs - renewedMs).toBeGreaterThanOrEqual(0);
    const [seconds] = await redis.time();
    expect(Math.abs(nowMs - Number(seconds) * 1_000)).toBeLessThan(5_000);
  });

  it("forgets one that was not renewed, and its trace in the index", async () => {
    const { prefix, put, names } = scene();
    await put("shop", backend("a"), 200);
    await put("shop", backend("b"), TTL_MS);
    expect(await names()).toEqual(["shop/a", "shop/b"]);
    await expect.poll(names, { timeout: 5_000 }).toEqual(["shop/b"]);
    expect(await redis.zcard(registrationIndexKey(prefix))).toBe(1);
    expect(await redis.pttl(registrationKey(prefix, "shop", "b"))).toBeGreaterThan(0);
  });

  it("keeps one that renews, however often its time has passed", async () => {
    const { put, names } = scene();
    const started = performance.now();
    while (performance.now() - started < 900) {
      await put("shop", backend("a"), 300);
      expect(await names()).toEqual(["shop/a"]);
    }
  });

  it("takes one out at once when asked, and says whether there was one", async () => {
    const { put, remove, names } = scene();
    await put("shop", backend("a"), TTL_MS);
    expect(await remove("other", "a")).toBe(false);
    expect(await remove("shop", "a")).toBe(true);
    expect(await remove("shop", "a")).toBe(false);
    expect(await names()).toEqual([]);
  });

  it("tells everyone of those that come, change or go, and not of renewals", async () => {
    const { prefix, put, remove } = scene();
    const subscriber = openSubscriber({ url: inject("redisUrl"), name: "registrations-test-events" }, log);
    onTestFinished(() => subscriber.disconnect());
    const events: unknown[] = [];
    subscriber.on("message", (_channel, text) => events.push(parseEvent(text)));
    await subscriber.subscribe(eventChannel(prefix));
    await put("shop", backend("a"), TTL_MS);
    await put("shop", backend("a"), TTL_MS);
    await put("shop", backend("a", { weight: 2 }), TTL_MS);
    await remove("shop", "a");
    await remove("shop", "a");
    await put("last", backend("a"), TTL_MS);
    await expect.poll(() => events.length).toBe(4);
    const event = (pool: string) => ({ type: "registration", pool, version: expect.any(Number) });
    expect(events).toEqual([event("shop"), event("shop"), event("shop"), event("last")]);
  });

  it("bears what nobody registered", async () => {
    const { prefix, put, names } = scene();
    await put("shop", backend("a"), TTL_MS);
    for (const [id, text] of [
      ["x", "{"],
      ["y", "null"],
      ["z", "{}"],
    ] as const) {
      await redis.zadd(registrationIndexKey(prefix), Date.now() * 2, `shop/${id}`);
      await redis.set(registrationKey(prefix, "shop", id), text);
    }
    expect(await names()).toEqual(["shop/a"]);
  });
});
