import { randomBytes } from "node:crypto";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { Redis } from "ioredis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { watchConfig } from "./config-watch.ts";
import { configKey } from "./keys.ts";
import type { Log } from "./log.ts";

const document = (port: number): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port }],
  routes: [],
  pools: [],
});

describe("following the configuration", () => {
  it("says so as an error when one cannot be used, and goes on with the next", async () => {
    const redis = new Redis(inject("redisUrl"));
    const prefix = `watch-${randomBytes(4).toString("hex")}`;
    const key = configKey(prefix);
    const errors: unknown[] = [];
    const log = { error: (what: unknown) => errors.push(what), debug() {} } as unknown as Log;
    const used: number[] = [];
    const put = (version: number) =>
      redis.hset(key, { version, documentVersion: version, document: JSON.stringify(document(version)) });
    await put(1);
    const watch = watchConfig(redis, prefix, log, ({ version }) => {
      if (version === 1) throw new Error("no use for it");
      used.push(version);
    });
    onTestFinished(async () => {
      watch.close();
      await redis.del(key);
      redis.disconnect();
    });
    await expect.poll(() => errors, { timeout: 10_000 }).toMatchObject([{ version: 1 }]);
    await put(2);
    watch.refresh();
    await expect.poll(() => used, { timeout: 10_000 }).toEqual([2]);
    expect(errors).toHaveLength(1);
  });
});
