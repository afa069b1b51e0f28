// Whatever Redis loses of the configuration, and whenever, schedulers put back: what was written, and what was found.
import type { Discovered } from "@evenkeel/core/config/discovered.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { createConfigStore } from "@evenkeel/ledger/config-store.ts";
import { createDiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { configKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { followConfig } from "./following.ts";

const log = createLog("silent", { role: "test", id: "test" });
const TTL_MS = 60_000;
const BOUND = { timeout: 10_000, interval: 10 };
let redis: Redis;
let prefixes = 0;

beforeAll(async () => {
  redis = openRedis({ url: inject("redisUrl"), name: "losses-test", commandTimeoutMs: 10_000 }, log);
  await new Promise((resolve) => redis.once("ready", resolve));
});
afterAll(() => redis.disconnect());

/** @param n tells it from others */
const document = (n: number): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 8000 + n }],
  routes: [],
  pools: [{ name: "shop", backends: [], discovery: { file: { path: "shop.yaml" } } }],
});
const found = (n: number): Discovered => ({
  shop: { file: [{ id: `found-${n}`, url: `http://10.0.0.${n + 1}:80` }] },
});

async function scheduler(prefix: string) {
  const own = openRedis({ url: inject("redisUrl"), name: "losses", commandTimeoutMs: 10_000 }, log);
  const events = openSubscriber({ url: inject("redisUrl"), name: "losses-events" }, log);
  const stores = { redis: own, prefix };
  const configs = createConfigStore(stores);
  const ledger = createRedisLedger(stores);
  const reconciler = followConfig({
    ...{ ...stores, events, configs, ledger, seedFile: "", onReconciled: () => {}, log },
    hints: { changed: () => {}, gap: () => {} },
  });
  await new Promise((resolve) => own.once("ready", resolve));
  return {
    ...reconciler,
    stop() {
      reconciler.close();
      own.disconnect();
    },
  };
}

async function scene() {
  const prefix = `losses-test-${process.pid}-${prefixes++}`;
  const schedulers = await Promise.all([scheduler(prefix), scheduler(prefix)]);
  const configs = createConfigStore({ redis, prefix });
  const discovery = createDiscoveryStore({ redis, prefix });
  const ledger = createRedisLedger({ redis, prefix });
  const keys = () => redis.keys(`${prefix}:*`);
  const settle = () => Promise.all(schedulers.map(({ reconcile }) => reconcile()));
  return {
    ...{ prefix, configs, discovery, settle },
    /** What FLUSHALL would do to this prefix; other tests share the server. */
    async loseAll() {
      const all = await keys();
      if (all.length > 0) await redis.del(...all);
    },
    /** What a fail-over to a replica that lags behind does. @returns how to do it */
    async rememberNow() {
      const held = await redis.hgetall(configKey(prefix));
      return async () => {
        await redis.del(configKey(prefix));
        if (Object.keys(held).length > 0) await redis.hset(configKey(prefix), held);
      };
    },
    idsInLedger: async () => (await ledger.read("shop"))?.backends.map(({ id }) => id),
    async close() {
      for (const one of schedulers) one.stop();
      const all = await keys();
      if (all.length > 0) await redis.del(...all);
    },
  };
}

describe("a configuration that Redis lost", () => {
  it("comes back with what was found", async () => {
    const s = await scene();
    onTestFinished(s.close);
    const { version: documentVersion } = await s.configs.apply(document(1), 0);
    await s.discovery.lead("monitor-1", TTL_MS);
    await s.discovery.publish("monitor-1", found(1));
    await s.settle();
    expect(await s.idsInLedger()).toEqual(["found-1"]);
    const before = await s.configs.versions();
    await s.loseAll();
    await expect.poll(s.configs.read, BOUND).toMatchObject({ written: document(1), discovered: found(1) });
    const after = await s.configs.versions();
    expect(after.version).toBeGreaterThan(before.version);
    expect(after.documentVersion).toBe(documentVersion);
    await expect.poll(s.idsInLedger, BOUND).toEqual(["found-1"]);
    // The lead was lost too: whoever had it has to take it again.
    expect(await s.discovery.publish("monitor-1", found(2))).toBe("not-leading");
    expect(await s.discovery.lead("monitor-2", TTL_MS)).toBe(true);
    expect(await s.discovery.publish("monitor-2", found(2))).toBe("published");
    await expect.poll(s.idsInLedger, BOUND).toEqual(["found-2"]);
  });

  it("keeps the operator's change though a monitor publishes to a server that had lost it", async () => {
    const s = await scene();
    onTestFinished(s.close);
    await s.configs.apply(document(1), 0);
    await s.discovery.lead("monitor-1", TTL_MS);
    const failOver = await s.rememberNow();
    await s.configs.apply(document(2), null);
    await s.settle();
    await failOver();
    await s.discovery.publish("monitor-1", found(3));
    await s.settle();
    expect(await s.configs.read()).toMatchObject({ written: document(2), discovered: found(3) });
    expect(await s.idsInLedger()).toEqual(["found-3"]);
  });

  it("ends as it was last written and found, whatever happened in whatever order", async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), n: fc.nat(9) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("find" as const), n: fc.nat(9) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constantFrom("lose" as const, "remember" as const, "failOver" as const),
        }),
      },
    );
    const property = fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const s = await scene();
      try {
        let [written, publication] = [0, 0];
        await s.configs.apply(document(0), 0);
        await s.discovery.lead("m", TTL_MS);
        await s.discovery.publish("m", found(0));
        await s.settle();
        let failOver = await s.rememberNow();
        for (const one of steps) {
          if (one.do === "lose") await s.loseAll();
          else if (one.do === "remember") failOver = await s.rememberNow();
          else if (one.do === "failOver") await failOver();
          else if (one.do === "write" && "n" in one) {
            await s.settle(); // as the API does before each change
            written = one.n;
            await s.configs.apply(document(written), null);
          } else if ("n" in one) {
            await s.settle();
            publication = one.n;
            await s.discovery.lead("m", TTL_MS);
            await s.discovery.publish("m", found(publication));
          }
          // What is told at all is told to a scheduler before the next loss.
          await s.settle();
        }
        const read = await s.configs.read();
        expect(read?.written).toEqual(document(written));
        expect(read?.discovered).toEqual(found(publication));
        expect(await s.idsInLedger()).toEqual([`found-${publication}`]);
      } finally {
        await s.close();
      }
    });
    await fc.assert(property, { numRuns: 25, seed: 5 });
  });
});
