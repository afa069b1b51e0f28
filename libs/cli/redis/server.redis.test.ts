import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { expect, test } from "vitest";
import { findRedisServer } from "./find.ts";
import { probeRedis } from "./probe.ts";
import { startRedisServer } from "./server.ts";

const executable = await findRedisServer(process.env, () => {});
const log = createLog("silent", { role: "test", id: "test" });

// Where the tests' Redis runs in a container there may be no program to start.
test.skipIf(executable === null)(
  "an own Redis answers, stops, and starts again empty on its port",
  async () => {
    const first = await startRedisServer(executable as string);
    const port = Number(new URL(first.url).port);
    const redis = openRedis({ url: first.url, name: "test" }, log);
    await expect.poll(() => redis.status).toBe("ready");
    await redis.set("key", "value");
    await first.stop();
    await first.exited;

    const second = await startRedisServer(executable as string, port);
    expect(second.url).toBe(first.url);
    await expect.poll(() => redis.get("key").catch(() => "away"), { timeout: 5_000 }).toBeNull();
    redis.disconnect();
    await second.stop();
    await expect(probeRedis(second.url, { timeoutMs: 100 })).rejects.toThrow("no Redis at");
  },
);
