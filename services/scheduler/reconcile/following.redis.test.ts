import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { createConfigStore } from "@evenkeel/ledger/config-store.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { followConfig } from "./following.ts";

const log = createLog("silent", { role: "test", id: "test" });
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "following-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const newPrefix = () => `following-test-${process.pid}-${prefixes++}`;

const withPools = (...names: string[]): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: names.map((name) => ({ name, backends: [{ id: `${name}-1`, url: "http://127.0.0.1:9001" }] })),
});

/** One scheduler's part in following the configuration. */
async function follower(prefix: string, seedFile = "") {
  const own = openRedis({ url: inject("redisUrl"), name: "follower", commandTimeoutMs: 10_000 }, log);
  const events = openSubscriber({ url: inject("redisUrl"), name: "follower-events" }, log);
  const configs = createConfigStore({ redis: own, prefix });
  const ledger = createRedisLedger({ redis: own, prefix });
  const versions: number[] = [];
  const onReconciled = (version: number) => versions.push(version);
  const reconciler = followConfig({
    redis: own,
    events,
    prefix,
    configs,
    ledger,
    hints: { changed: () => {}, gap: () => {} },
    seedFile,
    onReconciled,
    log,
  });
  onTestFinished(() => {
    reconciler.close();
    own.disconnect();
  });
  await new Promise((resolve) => own.once("ready", resolve));
  return { configs, ledger, versions, ...reconciler };
}

async function seedFile(text: string): Promise<string> {
  const file = join(tmpdir(), `evenkeel-seed-${process.pid}-${prefixes++}.yaml`);
  await writeFile(file, text);
  onTestFinished(() => rm(file));
  expect(await readFile(file, "utf8")).toBe(text);
  return file;
}

/** What FLUSHALL would do to this prefix; other tests share the server. */
async function loseEverything(prefix: string): Promise<void> {
  const keys = await redis.keys(`${prefix}:*`);
  expect(keys.length).toBeGreaterThan(0);
  await redis.del(...keys);
}

describe("following the configuration in Redis", () => {
  it("puts pools into the ledger and takes them out, in every scheduler at once", async () => {
    const prefix = newPrefix();
    const [a, b] = await Promise.all([follower(prefix), follower(prefix)]);
    const { version } = await a.configs.apply(withPools("one", "two"), 0);
    await expect.poll(() => [a.versions.at(-1), b.versions.at(-1)]).toEqual([version, version]);
    expect((await a.ledger.read("two"))?.backends).toMatchObject([{ id: "two-1", ready: true }]);
    const next = (await b.configs.apply(withPools("two"), version)).version;
    await expect.poll(() => [a.versions.at(-1), b.versions.at(-1)]).toEqual([next, next]);
    expect(await a.ledger.read("one")).toBeNull();
    expect(await a.ledger.read("two")).not.toBeNull();
  });

  it("reconciles a configuration that was there before it", async () => {
    const prefix = newPrefix();
    const configs = createConfigStore({ redis, prefix });
    const { version } = await configs.apply(withPools("one"), 0);
    const { first, versions, ledger } = await follower(prefix);
    await first;
    expect(versions).toEqual([version]);
    expect(await ledger.read("one")).not.toBeNull();
  });

  it("applies the seed once, however many schedulers start with it", async () => {
    const prefix = newPrefix();
    const file = await seedFile(JSON.stringify(withPools("one")));
    const followers = await Promise.all([
      follower(prefix, file),
      follower(prefix, file),
      follower(prefix, file),
    ]);
    await Promise.all(followers.map(({ first }) => first));
    const versions = followers.map((f) => f.versions);
    expect(new Set(versions.flat()).size).toBe(1);
    expect((await followers[0]?.configs.read())?.written).toEqual(withPools("one"));
  });

  it("says where a faulty seed is at fault, and applies nothing", async () => {
    const prefix = newPrefix();
    const file = await seedFile("listeners: []\nroutes: []\npools: [{ name: one, backend: [] }]\n");
    const { lacking, configs } = await follower(prefix, file);
    await expect.poll(lacking).toContain(`${file}:1:1 /listeners`);
    expect(lacking()).toMatch(/:3:\d+ /);
    expect((await configs.versions()).version).toBe(0);
  });

  it("puts configuration and pools back when Redis lost everything, as it last was and once", async () => {
    const prefix = newPrefix();
    const file = await seedFile(JSON.stringify(withPools("seed")));
    const [a, b] = await Promise.all([follower(prefix, file), follower(prefix, file)]);
    await Promise.all([a.first, b.first]);
    const seeded = a.versions[0] as number;
    const changed = (await a.configs.apply(withPools("changed"), seeded)).version;
    await expect.poll(() => [a.versions.at(-1), b.versions.at(-1)]).toEqual([changed, changed]);

    await loseEverything(prefix);
    await Promise.all([a.reconcile(), b.reconcile()]);
    const restored = await a.configs.read();
    expect(restored?.written).toEqual(withPools("changed"));
    expect(restored?.version).toBeGreaterThan(changed);
    await expect
      .poll(() => [a.versions.at(-1), b.versions.at(-1)])
      .toEqual([restored?.version, restored?.version]);
    expect((await b.ledger.read("changed"))?.backends).toMatchObject([{ id: "changed-1", ready: true }]);
    expect(await b.ledger.read("seed")).toBeNull();
  });

  it("restores within a second by itself", async () => {
    const prefix = newPrefix();
    const { configs, versions, first } = await follower(prefix);
    await configs.apply(withPools("one"), 0);
    await first;
    await loseEverything(prefix);
    await expect.poll(() => versions.length, { timeout: 5_000 }).toBe(2);
    expect((await configs.read())?.written).toEqual(withPools("one"));
  });

  it("restores a single lost pool when a settle finds it missing", async () => {
    const prefix = newPrefix();
    const { configs, ledger, first, restore } = await follower(prefix);
    await configs.apply(withPools("one"), 0);
    await first;
    await ledger.remove("one", Number.MAX_SAFE_INTEGER);
    expect(await ledger.read("one")).toBeNull();
    expect(await restore("one")).toBe(true);
    expect(await ledger.read("one")).not.toBeNull();
    expect(await restore("ghost")).toBe(false);
  });
});
