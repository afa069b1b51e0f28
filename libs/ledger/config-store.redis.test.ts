import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type Event, parseEvent } from "@evenkeel/core/wire/events.ts";
import type { StoredConfig } from "@evenkeel/runtime/config-watch.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createConfigStore } from "./config-store.ts";

const log = createLog("silent", { role: "test", id: "test" });
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "config-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const document = (name: string): ConfigDocument => ({
  listeners: [{ name, protocol: "http", port: 8080 }],
  routes: [],
  pools: [],
});

const stored = (written: ConfigDocument, version: number): StoredConfig => ({
  version,
  documentVersion: version,
  seeded: false,
  written,
  discovered: {},
});

function scene() {
  const prefix = `config-test-${process.pid}-${prefixes++}`;
  onTestFinished(async () => {
    await redis.del(configKey(prefix));
  });
  return { prefix, store: createConfigStore({ redis, prefix }) };
}

async function redisTimeMs(): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

describe("the store of the applied configuration", () => {
  it("is empty at first", async () => {
    const { store } = scene();
    expect(await store.versions()).toEqual({ version: 0, documentVersion: 0 });
    expect(await store.read()).toBeNull();
  });

  it("keeps the document as it was given, with version and time", async () => {
    const { prefix, store } = scene();
    const before = await redisTimeMs();
    const applied = await store.apply(document('é "quoted"'), 0);
    expect(applied.ok).toBe(true);
    const { version } = applied;
    expect(await store.read()).toEqual(stored(document('é "quoted"'), version));
    expect(await store.versions()).toEqual({ version, documentVersion: version });
    const appliedAtMs = Number(await redis.hget(configKey(prefix), "appliedAtMs"));
    expect(appliedAtMs).toBeGreaterThanOrEqual(before);
    expect(appliedAtMs).toBeLessThanOrEqual(await redisTimeMs());
  });

  it("refuses a change made from another version, and changes nothing", async () => {
    const { store } = scene();
    const { version } = await store.apply(document("a"), 0);
    expect(await store.apply(document("b"), 0)).toEqual({ ok: false, version });
    expect(await store.apply(document("b"), version - 1)).toEqual({ ok: false, version });
    expect(await store.apply(document("b"), version + 1)).toEqual({ ok: false, version });
    expect(await store.read()).toEqual(stored(document("a"), version));
    const next = await store.apply(document("b"), version);
    expect(next.ok).toBe(true);
    expect(next.version).toBeGreaterThan(version);
    const last = await store.apply(document("c"), null);
    expect(last.ok).toBe(true);
    expect(last.version).toBeGreaterThan(next.version);
  });

  it("refuses a change made from a configuration that is no longer there", async () => {
    const { prefix, store } = scene();
    const { version } = await store.apply(document("a"), 0);
    await redis.del(configKey(prefix));
    expect(await store.apply(document("b"), version)).toEqual({ ok: false, version: 0 });
    expect(await store.read()).toBeNull();
  });

  it("lets exactly one of many changes made from one version through", async () => {
    const { store } = scene();
    const { version } = await store.apply(document("a"), 0);
    const names = Array.from({ length: 10 }, (_, i) => `racer-${i}`);
    const results = await Promise.all(names.map((name) => store.apply(document(name), version)));
    const won = results.flatMap(({ ok }, i) => (ok ? [names[i] as string] : []));
    expect(won).toHaveLength(1);
    const read = await store.read();
    expect(read?.written).toEqual(document(won[0] as string));
    expect(read?.version).toBeGreaterThan(version);
  });

  it("never gives out a version twice, whatever Redis forgets", async () => {
    const { prefix, store } = scene();
    const first = await store.apply(document("a"), 0);
    const second = await store.apply(document("b"), first.version);
    await redis.del(configKey(prefix));
    const known = stored(document("c"), second.version);
    const third = await store.restore(known, 0, "all");
    expect(third.version).toBeGreaterThan(second.version);
    const far = third.version + 1_000_000_000;
    const fourth = await store.restore({ ...known, version: far }, third.version, "all");
    expect(fourth).toEqual({ ok: true, version: far + 1 });
  });

  it("says of a seed that it is one, and plants it only where there is nothing", async () => {
    const { store } = scene();
    expect((await store.seed(document("a"))).ok).toBe(true);
    expect((await store.read())?.seeded).toBe(true);
    expect((await store.seed(document("b"))).ok).toBe(false);
    await store.apply(document("c"), null);
    expect(await store.read()).toMatchObject({ seeded: false, written: document("c") });
  });

  it("starts past every version counted up before, without knowing any", async () => {
    const { prefix, store } = scene();
    const { version } = await store.apply(document("a"), 0);
    await redis.del(configKey(prefix));
    await expect.poll(redisTimeMs).toBeGreaterThan(version);
    expect((await store.apply(document("b"), 0)).version).toBeGreaterThan(version);
  });

  it("tells everyone of a change, and of nothing else", async () => {
    const { prefix, store } = scene();
    const subscriber = openSubscriber({ url: inject("redisUrl"), name: "config-test-events" }, log);
    onTestFinished(() => subscriber.disconnect());
    const events: (Event | null)[] = [];
    subscriber.on("message", (_channel, text) => events.push(parseEvent(text)));
    await subscriber.subscribe(eventChannel(prefix));
    const { version } = await store.apply(document("a"), 0);
    await store.apply(document("b"), version + 7);
    const second = await store.apply(document("b"), version);
    await expect.poll(() => events.length).toBeGreaterThanOrEqual(2);
    expect(events).toEqual([
      { type: "config", version },
      { type: "config", version: second.version },
    ]);
  });

  it("loads its functions again when Redis lost them", async () => {
    const { store } = scene();
    const { version } = await store.apply(document("a"), 0);
    const libraries = (await redis.function("LIST", "LIBRARYNAME", "evenkeel_config_*")) as string[][];
    expect(libraries.length).toBeGreaterThan(0);
    for (const library of libraries) await redis.function("DELETE", library[1] as string);
    expect((await store.apply(document("b"), version)).ok).toBe(true);
  });
});
