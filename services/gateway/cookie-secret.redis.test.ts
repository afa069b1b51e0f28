import { cookieSecretKey } from "@evenkeel/runtime/keys.ts";
import { createLog, type Log } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { followCookieSecret } from "./cookie-secret.ts";

const silent = createLog("silent", { role: "test", id: "test" });
const WAIT = { timeout: 5_000 };
let prefixes = 0;

function setUp() {
  prefixes += 1;
  const prefix = `cookie-secret-test-${process.pid}-${prefixes}`;
  const redis = openTestRedis();
  onTestFinished(async () => void (await redis.del(cookieSecretKey(prefix))));
  const follow = (configured = "", log: Log = silent) => {
    const own = openTestRedis();
    const secret = followCookieSecret(configured, own, prefix, log);
    onTestFinished(secret.close);
    return { ...secret, redis: own };
  };
  return { redis, follow, key: cookieSecretKey(prefix) };
}

function openTestRedis() {
  const redis = openRedis({ url: inject("redisUrl"), name: "cookie-secret-test" }, silent);
  onTestFinished(() => redis.disconnect());
  return redis;
}

describe("the secret for cookies", () => {
  it("is that of the environment, and Redis never sees it", async () => {
    const { redis, follow, key } = setUp();
    const { current } = follow("a secret of the operator's own");
    expect(current()?.toString()).toBe("a secret of the operator's own");
    await expect.poll(() => redis.status, WAIT).toBe("ready");
    expect(await redis.exists(key)).toBe(0);
  });

  it("else is one that all gateways share, however many start at once", async () => {
    const { follow } = setUp();
    const gateways = Array.from({ length: 8 }, () => follow());
    for (const { current } of gateways) expect(current()).toBeNull();
    await expect.poll(() => gateways.every(({ current }) => current() !== null), WAIT).toBe(true);
    const secrets = new Set(gateways.map(({ current }) => current()?.toString("hex")));
    expect(secrets.size).toBe(1);
    expect([...secrets][0]).toHaveLength(64);
  });

  it("survives Redis losing it, and is what newcomers get", async () => {
    const { redis, follow, key } = setUp();
    const old = follow();
    await expect.poll(old.current, WAIT).not.toBeNull();
    const secret = old.current()?.toString("hex");
    await redis.del(key);
    old.redis.disconnect(true);
    await expect.poll(() => redis.get(key), WAIT).toBe(secret);
    const newcomer = follow();
    await expect.poll(() => newcomer.current()?.toString("hex"), WAIT).toBe(secret);
  });

  it("is what Redis has where a gateway knows another one", async () => {
    const { redis, follow, key } = setUp();
    const warn = vi.fn();
    const gateway = follow("", { ...silent, warn, debug: () => {} } as unknown as Log);
    await expect.poll(gateway.current, WAIT).not.toBeNull();
    const restored = "0123456789abcdef".repeat(4);
    await redis.set(key, restored);
    gateway.redis.disconnect(true);
    await expect.poll(() => gateway.current()?.toString("hex"), WAIT).toBe(restored);
    expect(warn).toHaveBeenCalledOnce();
    expect(JSON.stringify(warn.mock.calls)).not.toContain(restored);
  });

  it("is none where Redis holds something else under its name; that is said", async () => {
    const { redis, follow, key } = setUp();
    await expect.poll(() => redis.status, WAIT).toBe("ready");
    await redis.set(key, "hello");
    const error = vi.fn();
    const { current } = follow("", { ...silent, error, debug: () => {} } as unknown as Log);
    await expect.poll(() => error.mock.calls.length, WAIT).toBe(1);
    expect(current()).toBeNull();
    expect(await redis.get(key)).toBe("hello");
  });
});
