// What schedulers, monitors and gateways do with Redis, on a Redis Cluster and behind Sentinel: real servers, some of
// which are killed.
import { once } from "node:events";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { ledgerContract } from "@evenkeel/core/ledger/contract.ts";
import { facts, statement, wants } from "@evenkeel/core/ledger/fixtures.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import { type AppliedConfig, watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { announceMember, readMembers } from "@evenkeel/runtime/presence.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { waitFor } from "../../test/support/cluster.ts";
import { type ClusterTopology, startClusterTopology } from "../../test/support/redis-cluster.ts";
import { type RedisProcess, redisExecutable, WHY_SKIPPED } from "../../test/support/redis-process.ts";
import { type SentinelTopology, startSentinelTopology } from "../../test/support/redis-sentinel.ts";
import { createConfigStore } from "./config-store.ts";
import { createDiscoveryStore } from "./discovery-store.ts";
import { poolKey } from "./keys.ts";
import { createRedisLedger } from "./redis-ledger.ts";
import { createRegistrations } from "./registrations.ts";

const log = createLog("silent", { role: "test", id: "test" });
const FAILOVER_TIMEOUT_MS = 20_000;
const SOON = { timeout: 5_000 };
const POOLS = Array.from({ length: 24 }, (_, i) => `pool-${i}`);

const DOCUMENT: ConfigDocument = {
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [],
};

let prefixes = 0;
const newPrefix = () => `topologies-test-${process.pid}-${prefixes++}`;

async function open(url: string): Promise<Redis> {
  const redis = openRedis({ url, name: "topologies-test" }, log);
  await waitFor(() => redis.status === "ready", { timeoutMs: 5_000, what: "the connection" });
  return redis;
}

/** Events from now on, and how often some may have been missed; the first time is the subscription itself. */
async function hear(url: string, prefix: string, onEvent = () => {}) {
  const events: Event[] = [];
  let gaps = 0;
  const bus = subscribeEvents(openSubscriber({ url, name: "topologies-test-events" }, log), prefix, {
    onEvent(event) {
      events.push(event);
      onEvent();
    },
    onGap() {
      gaps += 1;
    },
  });
  onTestFinished(() => bus.close());
  await expect.poll(() => gaps, SOON).toBe(1);
  return { events, gaps: () => gaps };
}

/** A gateway that states the same row in full each time, and each time wants one more, which it returns at once. */
function gatewayOf(ledger: Ledger, pool: string, id: string, held: Record<string, number>) {
  let seq = 0;
  const state = async (wanted: number) => {
    seq += 1;
    const result = await ledger.settle(pool, [
      statement(id, seq, { full: true, held, wants: wants(wanted) }),
    ]);
    return result?.replies[0]?.picks;
  };
  return { state };
}

async function countsOf(ledger: Ledger, pool: string): Promise<Record<string, number>> {
  const backends = (await ledger.read(pool))?.backends ?? [];
  return Object.fromEntries(backends.map(({ id, inflight }) => [id, inflight]));
}

/** How long until `attempt` succeeds, ms. */
async function timeUntil(what: string, attempt: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await waitFor(async () => (await attempt()) !== undefined, { timeoutMs: FAILOVER_TIMEOUT_MS, what });
  return Math.round(performance.now() - startedAt);
}

const flushFunctions = (servers: readonly RedisProcess[]) =>
  Promise.all(servers.map(({ client }) => client.function("FLUSH")));

/** What holds on every topology, with every server alive. */
function commonBehaviour(redis: () => Redis, url: () => string): void {
  ledgerContract("the Redis ledger there", async () => {
    let nowMs = 1_700_000_000_000;
    return {
      ledger: createRedisLedger({ redis: redis(), prefix: newPrefix(), clock: () => nowMs }),
      advance: (ms) => {
        nowMs += ms;
      },
    };
  });

  it("tells everyone of a configuration, and of every pool wherever it is", async () => {
    const prefix = newPrefix();
    const seen: AppliedConfig[] = [];
    const watch = watchConfig(redis(), prefix, log, (config) => seen.push(config));
    onTestFinished(() => watch.close());
    const { events } = await hear(url(), prefix, watch.refresh);
    const { version } = await createConfigStore({ redis: redis(), prefix }).apply(DOCUMENT, 0);
    await expect.poll(() => seen, SOON).toMatchObject([{ version, seeded: false, document: DOCUMENT }]);
    const ledger = createRedisLedger({ redis: redis(), prefix });
    for (const pool of POOLS) await ledger.configure(facts({ a: 1 }, { pool }));
    const told = () => events.map((event) => (event.type === "pool" ? event.pool : event.type)).sort();
    await expect.poll(told, SOON).toEqual(["config", ...POOLS].sort());
  });

  it("keeps what was found beside the configuration, and who registered", async () => {
    const prefix = newPrefix();
    const at = { redis: redis(), prefix };
    const discovery = createDiscoveryStore(at);
    const registrations = createRegistrations(at);
    await createConfigStore(at).apply(DOCUMENT, 0);
    expect(await discovery.lead("monitor-1", 60_000)).toBe(true);
    const found = { shop: { file: [{ id: "a", url: "http://10.0.0.1:80" }] } };
    expect(await discovery.publish("monitor-1", found)).toBe("published");
    expect(await discovery.read()).toEqual(found);
    for (const pool of POOLS) await registrations.put(pool, { id: "a", url: "http://10.0.0.1:80" }, 60_000);
    const { registered } = await registrations.list();
    expect(registered.map(({ pool }) => pool)).toEqual(POOLS.toSorted());
    expect(await registrations.remove(POOLS[0] as string, "a")).toBe(true);
  });

  it("announces members and lets them leave", async () => {
    const prefix = newPrefix();
    const member = (id: string): Member => ({ role: "scheduler", id, adminUrl: "", pid: 1, startedAtMs: 1 });
    const [first, second] = ["s1", "s2"].map((id) => announceMember(redis(), prefix, member(id)));
    await expect.poll(() => readMembers(redis(), prefix), SOON).toEqual([member("s1"), member("s2")]);
    await first?.leave();
    expect(await readMembers(redis(), prefix)).toEqual([member("s2")]);
    await second?.leave();
  });
}

describe.skipIf(redisExecutable === null)(`a Redis Cluster${WHY_SKIPPED}`, () => {
  const prefix = newPrefix();
  let cluster: ClusterTopology;
  let redis: Redis;
  let ledger: Ledger;
  const masterOf = (pool: string) => cluster.masterOf(poolKey(prefix, pool, "meta"));
  const poolOn = async (master: RedisProcess) => {
    for (const pool of POOLS) if ((await masterOf(pool)) === master) return pool;
    throw new Error("no pool on that master");
  };

  beforeAll(async () => {
    cluster = await startClusterTopology("guarded");
    redis = await open(cluster.url);
    ledger = createRedisLedger({ redis, prefix });
    for (const pool of POOLS) await ledger.configure(facts({ a: 1, b: 1 }, { pool }));
  });
  afterAll(async () => {
    redis?.disconnect();
    await cluster?.stop();
  });

  commonBehaviour(
    () => redis,
    () => cluster.url,
  );

  it("has pools on every master, each counted for itself", async () => {
    for (const master of cluster.masters) expect(await poolOn(master)).toBeDefined();
    await Promise.all(
      POOLS.map((pool, i) => gatewayOf(ledger, pool, "g", { a: i }).state(1)), // b, which has none
    );
    for (const [i, pool] of POOLS.entries()) {
      expect(await countsOf(ledger, pool)).toEqual(i === 0 ? { a: 1, b: 0 } : { a: i, b: 1 });
    }
  });

  it("gets its functions back on whichever master lost them", async () => {
    await flushFunctions(cluster.masters);
    const picks = await Promise.all(POOLS.map((pool) => gatewayOf(ledger, pool, "g2", {}).state(1)));
    expect(picks.flat()).toHaveLength(POOLS.length);
    expect(picks.flat()).not.toContain(null);
  });

  it("fails commands at once while it is not connected, and none of them later", async () => {
    const late = openRedis({ url: cluster.url, name: "late" }, log);
    onTestFinished(() => late.disconnect());
    await expect(late.set("late", "1")).rejects.toThrow("not connected");
    await expect(late.multi().set("late", "2").exec()).rejects.toThrow();
    await waitFor(() => late.status === "ready", { timeoutMs: 5_000, what: "the connection" });
    expect(await late.get("late")).toBeNull();
  });

  it("is found through whichever of its named servers answers, for commands and for events", async () => {
    const url = `redis+cluster://127.0.0.1:1,127.0.0.1:${cluster.replica.port}`;
    const late = await open(url);
    onTestFinished(() => late.disconnect());
    const { events } = await hear(url, prefix);
    await createRedisLedger({ redis: late, prefix }).setMode(POOLS[0] as string, "a", "draining");
    await expect.poll(() => events, SOON).toMatchObject([{ type: "pool", pool: POOLS[0] }]);
  });

  it("keeps a pool's counts when its slot moves to a master without the functions", async () => {
    const [, from, to] = cluster.masters as [RedisProcess, RedisProcess, RedisProcess];
    const pool = await poolOn(from);
    const gateway = gatewayOf(ledger, pool, "mover", { a: 5 });
    await gateway.state(0);
    const before = await countsOf(ledger, pool);
    const finish = await beginMove(from, to, poolKey(prefix, pool, "meta"));
    await expect(gateway.state(0)).rejects.toThrow(/TRYAGAIN|timed out/); // asked again until its time is up
    await to.client.function("FLUSH");
    await finish();
    await timeUntil("the pool on its new master", () => gateway.state(0));
    expect(await countsOf(ledger, pool)).toEqual(before);
    expect(await to.client.exists(poolKey(prefix, pool, "meta"))).toBe(1);
  });

  it("goes on with a killed master's pools on its replica, and all the while with all others", async () => {
    const [, other] = cluster.masters.filter((master) => master !== cluster.guarded);
    const pool = await poolOn(cluster.guarded);
    const elsewhere = gatewayOf(ledger, await poolOn(other as RedisProcess), "g3", {});
    const gateways = [gatewayOf(ledger, pool, "g3", { a: 3 }), gatewayOf(ledger, pool, "g4", { a: 1, b: 2 })];
    for (const gateway of gateways) await gateway.state(0);

    await cluster.guarded.kill();
    const tookMs = await timeUntil("the pool on the replica", async () => {
      expect(await elsewhere.state(1)).toHaveLength(1);
      return gateways[0]?.state(0);
    });
    console.log("Redis Cluster: settles again", tookMs, "ms after its master was killed");
    await flushFunctions([cluster.replica]);
    await gateways[1]?.state(0);
    const rows = await ledger.rows(pool);
    expect(rows).toMatchObject({ g3: { a: 3 }, g4: { a: 1, b: 2 } });
    const sum = (id: string) => Object.values(rows).reduce((n, row) => n + (row[id] ?? 0), 0);
    expect(await countsOf(ledger, pool)).toEqual({ a: sum("a"), b: sum("b") });
  });
});

/** Moves the slot of a key as an operator would, but stops before the first key goes. Returns what does the rest. */
async function beginMove(from: RedisProcess, to: RedisProcess, key: string): Promise<() => Promise<void>> {
  const slot = await from.client.cluster("KEYSLOT", key);
  const [source, target] = await Promise.all(
    [from, to].map(({ client }) => client.call("CLUSTER", "MYID") as Promise<string>),
  );
  await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source as string);
  await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target as string);
  return async () => {
    const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, 1_000)) as string[];
    await from.client.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", ...keys);
    for (const { client } of [to, from])
      await client.call("CLUSTER", "SETSLOT", slot, "NODE", target as string);
  };
}

describe.skipIf(redisExecutable === null)(`a master behind Sentinel${WHY_SKIPPED}`, () => {
  let sentinel: SentinelTopology;
  let redis: Redis;

  beforeAll(async () => {
    sentinel = await startSentinelTopology();
    redis = await open(sentinel.url);
  });
  afterAll(async () => {
    redis?.disconnect();
    await sentinel?.stop();
  });

  commonBehaviour(
    () => redis,
    () => sentinel.url,
  );

  it("is asked for again by whoever finds that its server became a replica", async () => {
    const stale = await open(`redis://127.0.0.1:${sentinel.replica.port}`);
    onTestFinished(() => stale.disconnect());
    const left = once(stale, "close");
    await expect(stale.set("key", "value")).rejects.toThrow("READONLY");
    await left;
  });

  it("is followed to the replica when it is killed: settles, configuration and events go on there", async () => {
    const prefix = newPrefix();
    const ledger = createRedisLedger({ redis, prefix });
    const configs = createConfigStore({ redis, prefix });
    await ledger.configure(facts({ a: 1, b: 1 }));
    const gateways = [
      gatewayOf(ledger, "shop", "g1", { a: 3 }),
      gatewayOf(ledger, "shop", "g2", { a: 1, b: 2 }),
    ];
    for (const gateway of gateways) await gateway.state(0);
    const { events, gaps } = await hear(sentinel.url, prefix);
    await sentinel.master.kill();
    const tookMs = await timeUntil("settles on the replica", async () => gateways[0]?.state(0));
    console.log("Sentinel: settles again", tookMs, "ms after the master was killed");
    await flushFunctions([sentinel.replica]);
    await gateways[1]?.state(0);
    expect(await ledger.rows("shop")).toEqual({ g1: { a: 3 }, g2: { a: 1, b: 2 } });
    expect(await countsOf(ledger, "shop")).toEqual({ a: 4, b: 2 });
    await expect.poll(gaps, { timeout: FAILOVER_TIMEOUT_MS }).toBe(2);
    const { version } = await configs.apply(DOCUMENT, null);
    await expect.poll(() => events, SOON).toContainEqual({ type: "config", version });
  });
});
