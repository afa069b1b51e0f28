import { createLog } from "@evenkeel/runtime/log.ts";
import { announceMember } from "@evenkeel/runtime/presence.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { followSchedulers } from "./scheduler-list.ts";

const log = createLog("silent", { role: "test", id: "test" });
const SCHEDULER = "http://127.0.0.1:7001";

function openTestRedis() {
  const redis = openRedis({ url: inject("redisUrl"), name: "scheduler-list-test" }, log);
  onTestFinished(() => redis.disconnect());
  return redis;
}

const member = (role: "scheduler" | "gateway", adminUrl: string) => ({
  role,
  id: `${role}-1`,
  adminUrl,
  pid: 1,
  startedAtMs: 0,
});

describe("the list of schedulers", () => {
  it("is the fixed one where the environment gives one, whatever Redis says", () => {
    const list = followSchedulers(" http://a:1/, http://b:2 ,", openTestRedis(), "unused");
    onTestFinished(list.close);
    expect(list.urls()).toEqual(["http://a:1", "http://b:2"]);
  });

  it("is what schedulers announce, and stays known when they, or Redis, are gone", async () => {
    const prefix = `scheduler-list-test-${process.pid}`;
    const redis = openTestRedis();
    const list = followSchedulers("", redis, prefix);
    onTestFinished(list.close);
    expect(list.urls()).toEqual([]);
    const gateway = announceMember(redis, prefix, member("gateway", "http://127.0.0.1:7002"));
    const scheduler = announceMember(redis, prefix, member("scheduler", SCHEDULER));
    onTestFinished(() => gateway.leave());
    await expect.poll(() => list.urls(), { timeout: 5_000 }).toEqual([SCHEDULER]);
    await scheduler.leave();
    const another = announceMember(redis, prefix, {
      ...member("scheduler", "http://x:1"),
      id: "scheduler-2",
    });
    await expect.poll(() => list.urls(), { timeout: 5_000 }).toEqual(["http://x:1"]);
    await another.leave();
    const polls = countCalls(redis, "smembers");
    await expect.poll(polls, { timeout: 5_000 }).toBeGreaterThan(0);
    expect(list.urls()).toEqual(["http://x:1"]);
    redis.disconnect();
    await expect.poll(polls, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(list.urls()).toEqual(["http://x:1"]);
  });
});

function countCalls(redis: ReturnType<typeof openTestRedis>, command: "smembers"): () => number {
  const original = redis[command].bind(redis);
  let calls = 0;
  redis[command] = ((key: string) => {
    calls += 1;
    return original(key);
  }) as (typeof redis)[typeof command];
  return () => calls;
}
