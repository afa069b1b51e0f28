import type { DeadLetter } from "@evenkeel/core/wire/dead-letter.ts";
import { deadLettersKey, retriesKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { waitFor } from "../../test/support/cluster.ts";
import { startClusterTopology } from "../../test/support/redis-cluster.ts";
import { redisExecutable, WHY_SKIPPED } from "../../test/support/redis-process.ts";
import { createDeadLetters, DEAD_LETTERS_MAX } from "./dead-letters.ts";

const log = createLog("silent", { role: "test", id: "test" });
let prefixes = 0;
const newPrefix = () => `dead-letters-test-${process.pid}-${prefixes++}`;

const letter = (n: number): Omit<DeadLetter, "id"> => ({
  webhook: "pager",
  event: {
    ...{ id: `shop/${n}-0`, pool: "shop", version: n, atMs: n, at: new Date(n).toISOString() },
    ...{ type: "panic", on: true },
  },
  messageId: `evt_${n}`,
  attempts: 8,
  reason: "status 500",
  failedAtMs: n,
});

async function open(url: string): Promise<Redis> {
  const redis = openRedis({ url, name: "dead-letters-test", commandTimeoutMs: 10_000 }, log);
  await waitFor(() => redis.status === "ready", { timeoutMs: 10_000, what: "the connection" });
  return redis;
}

/** One that goes there and back. */
async function goesRound(redis: Redis) {
  const store = createDeadLetters({ redis, prefix: newPrefix() });
  for (const n of [1, 2, 3]) await store.add(letter(n));
  const { letters, size } = await store.list(2);
  expect([letters.map(({ failedAtMs }) => failedAtMs), size]).toEqual([[3, 2], 3]);
  const [, second] = letters as [DeadLetter, DeadLetter];
  expect(await store.retry("1-1")).toBe(0);
  expect(await store.retry(second.id)).toBe(1);
  expect(await store.list(10)).toMatchObject({ size: 2, retrying: 1 });
  expect(await store.retries(10)).toEqual([second]);
  await store.retried([second]);
  expect(await store.retries(10)).toEqual([]);
  expect(await store.retry(null)).toBe(2);
  expect(await store.list(10)).toEqual({ letters: [], size: 0, retrying: 2 });
  expect([await store.remove(null), await store.remove("1-1")]).toEqual([0, 0]);
}

describe("dead letters", () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await open(inject("redisUrl"));
  });
  afterAll(() => redis.disconnect());

  it("are kept, listed, and handed back to be sent again", () => goesRound(redis));

  it("are removed, one or all", async () => {
    const store = createDeadLetters({ redis, prefix: newPrefix() });
    for (const n of [1, 2, 3]) await store.add(letter(n));
    const [newest] = (await store.list(1)).letters;
    expect(await store.remove(newest?.id as string)).toBe(1);
    expect(await store.remove(null)).toBe(2);
    expect(await store.list(1)).toEqual({ letters: [], size: 0, retrying: 0 });
  });

  it("are so many at most: the oldest make room", async () => {
    const prefix = newPrefix();
    const store = createDeadLetters({ redis, prefix });
    await Promise.all(Array.from({ length: DEAD_LETTERS_MAX + 5 }, (_, n) => store.add(letter(n))));
    expect((await store.list(1)).size).toBe(DEAD_LETTERS_MAX);
    expect(await store.retry(null)).toBe(DEAD_LETTERS_MAX);
    await store.add(letter(1));
    await store.retry(null);
    expect(await redis.llen(retriesKey(prefix))).toBe(DEAD_LETTERS_MAX);
  });

  it("are passed over where they are none", async () => {
    const prefix = newPrefix();
    const store = createDeadLetters({ redis, prefix });
    await redis.xadd(deadLettersKey(prefix), "*", "letter", "{");
    await redis.rpush(retriesKey(prefix), "null", '{"webhook":1}');
    await store.add(letter(1));
    expect((await store.list(10)).letters).toHaveLength(1);
    expect(await store.retries(10)).toEqual([]);
    expect(await redis.llen(retriesKey(prefix))).toBe(0);
  });
});

describe.skipIf(redisExecutable === null)(`dead letters in a Redis Cluster${WHY_SKIPPED}`, () => {
  it("are in one slot, so that they move in one step", async () => {
    const cluster = await startClusterTopology("guarded");
    const redis = await open(cluster.url);
    try {
      await goesRound(redis);
    } finally {
      redis.disconnect();
      await cluster.stop();
    }
  });
});
