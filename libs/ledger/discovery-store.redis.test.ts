import type { Discovered } from "@evenkeel/core/config/discovered.ts";
import type { BackendDocument, ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { parseEvent } from "@evenkeel/core/wire/events.ts";
import { type AppliedConfig, watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createConfigStore } from "./config-store.ts";
import { createDiscoveryStore } from "./discovery-store.ts";

const log = createLog("silent", { role: "test", id: "test" });
const TTL_MS = 60_000;
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "discovery-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

const CONFIGURED: BackendDocument = { id: "shop-1", url: "http://10.0.0.1:80" };
const DOCUMENT: ConfigDocument = {
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [{ name: "shop", backends: [CONFIGURED], discovery: { file: { path: "shop.yaml" } } }],
};

const found = (...ids: string[]): Discovered => ({
  shop: { file: ids.map((id) => ({ id, url: `http://10.0.1.${id.slice(1)}:80` })) },
});

async function scene(document: ConfigDocument | null = DOCUMENT) {
  const prefix = `discovery-test-${process.pid}-${prefixes++}`;
  onTestFinished(async () => {
    await redis.del(configKey(prefix));
  });
  const configs = createConfigStore({ redis, prefix });
  if (document) await configs.apply(document, 0);
  return { prefix, configs, store: createDiscoveryStore({ redis, prefix }) };
}

describe("who leads discovery", () => {
  it("is one at a time, for as long as it says so again in time", async () => {
    const { store } = await scene();
    expect(await store.lead("a", TTL_MS)).toBe(true);
    expect(await store.lead("b", TTL_MS)).toBe(false);
    expect(await store.lead("a", 50)).toBe(true);
    await expect.poll(() => store.lead("b", TTL_MS), { timeout: 5_000 }).toBe(true);
    expect(await store.lead("a", TTL_MS)).toBe(false);
  });

  it("is taken from one whose time was set by a clock that was far ahead", async () => {
    const { prefix, store } = await scene();
    await store.lead("a", TTL_MS);
    await redis.hset(configKey(prefix), "leaderUntilMs", Date.now() + 3_600_000);
    expect(await store.lead("b", TTL_MS)).toBe(true);
    expect(await store.lead("a", TTL_MS)).toBe(false);
  });

  it("may hand over at once, but only what is its own", async () => {
    const { store } = await scene();
    await store.lead("a", TTL_MS);
    await store.resign("b");
    expect(await store.lead("b", TTL_MS)).toBe(false);
    await store.resign("a");
    expect(await store.lead("b", TTL_MS)).toBe(true);
  });

  it("is exactly one of many that ask at once", async () => {
    const { store } = await scene();
    const members = Array.from({ length: 20 }, (_, i) => `m${i}`);
    const led = await Promise.all(members.map((member) => store.lead(member, TTL_MS)));
    expect(led.filter((leads) => leads)).toHaveLength(1);
  });

  it("is nobody while no configuration is applied", async () => {
    const { store, configs } = await scene(null);
    expect(await store.lead("a", TTL_MS)).toBe(false);
    expect(await store.publish("a", found("f1"))).toBe("not-leading");
    expect(await configs.versions()).toEqual({ version: 0, documentVersion: 0 });
  });
});

describe("publishing what was found", () => {
  it("raises the version that everyone follows, and not the document's", async () => {
    const { store, configs } = await scene();
    const before = await configs.versions();
    await store.lead("a", TTL_MS);
    expect(await store.publish("a", found("f1", "f2"))).toBe("published");
    const after = await configs.versions();
    expect(after.version).toBeGreaterThan(before.version);
    expect(after.documentVersion).toBe(before.documentVersion);
    expect(await store.read()).toEqual(found("f1", "f2"));
    expect((await configs.read())?.written).toEqual(DOCUMENT);
  });

  it("changes nothing and tells nobody when the same was found in another order", async () => {
    const { store, configs, prefix } = await scene();
    const subscriber = openSubscriber({ url: inject("redisUrl"), name: "discovery-test-events" }, log);
    onTestFinished(() => subscriber.disconnect());
    const events: unknown[] = [];
    subscriber.on("message", (_channel, text) => events.push(parseEvent(text)));
    await subscriber.subscribe(eventChannel(prefix));
    await store.lead("a", TTL_MS);
    await store.publish("a", found("f1", "f2"));
    const { version } = await configs.versions();
    expect(await store.publish("a", found("f2", "f1"))).toBe("unchanged");
    const swapped = {
      shop: { file: [{ url: "http://10.0.1.1:80", id: "f1" }, ...(found("f2").shop?.file ?? [])] },
    };
    expect(await store.publish("a", swapped)).toBe("unchanged");
    expect((await configs.versions()).version).toBe(version);
    await store.publish("a", found("f3"));
    const last = await configs.versions();
    await expect.poll(() => events.length).toBe(2);
    expect(events).toEqual([
      { type: "config", version },
      { type: "config", version: last.version },
    ]);
  });

  it("refuses whoever does not lead, or no longer", async () => {
    const { store, configs } = await scene();
    const { version } = await configs.versions();
    expect(await store.publish("a", found("f1"))).toBe("not-leading");
    await store.lead("a", 30);
    await expect.poll(() => store.lead("b", TTL_MS), { timeout: 5_000 }).toBe(true);
    expect(await store.publish("a", found("f1"))).toBe("not-leading");
    expect((await configs.versions()).version).toBe(version);
    expect(await store.read()).toEqual({});
  });

  it("leaves a change of the document room: one made from the version before still applies", async () => {
    const { store, configs } = await scene();
    const { documentVersion } = await configs.versions();
    await store.lead("a", TTL_MS);
    await store.publish("a", found("f1"));
    const applied = await configs.apply({ ...DOCUMENT, debugHeaders: true }, documentVersion);
    expect(applied.ok).toBe(true);
    expect(await store.read()).toEqual(found("f1"));
    expect(await configs.versions()).toEqual({ version: applied.version, documentVersion: applied.version });
    expect((await configs.apply(DOCUMENT, documentVersion)).ok).toBe(false);
  });
});

describe("following what was found", () => {
  it("hands everyone the pools with it, judged anew only where the document changed", async () => {
    const { store, configs, prefix } = await scene();
    const seen: AppliedConfig[] = [];
    const watch = watchConfig(redis, prefix, log, (config) => seen.push(config));
    onTestFinished(() => watch.close());
    await expect.poll(() => seen.length).toBe(1);
    await store.lead("a", TTL_MS);
    await store.publish("a", found("f1"));
    watch.refresh();
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[1]?.document.pools[0]?.backends.map(({ id }) => id)).toEqual(["shop-1", "f1"]);
    expect(seen[1]?.written).toBe(seen[0]?.written);
    await configs.apply({ ...DOCUMENT, pools: [{ name: "shop", backends: [CONFIGURED] }] }, null);
    watch.refresh();
    await expect.poll(() => seen.length).toBe(3);
    expect(seen[2]?.document.pools[0]?.backends).toEqual([CONFIGURED]);
  });

  it.each([
    ["no JSON", "{"],
    ["no mapping", "[1]"],
    ["a text", '"shop"'],
    ["lists where mappings belong", '{"shop":[]}'],
    ["mappings where lists belong", '{"shop":{"file":{"id":"x"}}}'],
    ["things that are no backends", '{"shop":{"file":[null,1,"x",[],{},{"id":"y","url":"ftp://x"}]}}'],
  ])("goes on with what an operator wrote when somebody put %s there", async (_what, text) => {
    const { prefix, configs } = await scene();
    await redis.hset(configKey(prefix), "discovered", text);
    const seen: AppliedConfig[] = [];
    const watch = watchConfig(redis, prefix, log, (config) => seen.push(config));
    onTestFinished(() => watch.close());
    await expect.poll(() => seen.length).toBe(1);
    expect(seen[0]?.document).toEqual(DOCUMENT);
    expect((await configs.read())?.written).toEqual(DOCUMENT);
  });
});
