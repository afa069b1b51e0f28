import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { expect, inject, it, onTestFinished } from "vitest";
import { watchEviction } from "./eviction.ts";

const log = createLog("silent", { role: "test", id: "test" });

it("says when Redis may evict keys, and when it may not", async () => {
  const redis = openRedis({ url: inject("redisUrl"), name: "eviction-test" }, log);
  onTestFinished(() => redis.disconnect());
  const says = async (policy: string, value: string) => {
    const metrics = createMetrics();
    const answering = Object.assign(Object.create(redis), {
      status: "ready",
      info: async () => `# Memory\r\nmaxmemory_policy:${policy}\r\n`,
    });
    watchEviction(policy === "" ? redis : answering, metrics, log);
    await expect.poll(() => metrics.registry.metrics()).toContain(`evenkeel_redis_evicts ${value}`);
  };
  await says("", "0"); // as the real one says
  await says("allkeys-lru", "1");
});
