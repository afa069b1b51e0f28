// Where requests go when a whole pool, or the one backend of a static route, cannot serve: elsewhere, without a failed
// response, and home again little by little.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach, describe, expect, inject, it } from "vitest";
import {
  startBackend,
  startCluster,
  type TestBackend,
  type TestCluster,
  waitFor,
} from "../support/cluster.ts";
import { type Client, constantRate, createClient, failures, type Load } from "../support/load.ts";
import { consecutivePorts } from "../support/scene.ts";

const PER_SECOND = 150;
const GATEWAYS = 2;
const RETURN_MS = 4_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface World {
  cluster: TestCluster;
  backends: Record<string, TestBackend>;
  client: Client;
  load: Load;
  /** Backends of the answers to requests that began after `sinceMs`. */
  answeredBy(sinceMs: number): (string | null)[];
  /** `evenkeel_gateway_failover` of each gateway. */
  away(): Promise<number[]>;
  counter(name: string): Promise<number>;
}

/** Pools "main" (m1, m2), which fails over to "spare" (s1), and a load on `path`. */
async function open(path: string): Promise<World> {
  const ids = ["m1", "m2", "s1"];
  const backends = Object.fromEntries(
    await Promise.all(ids.map(async (id) => [id, await startBackend({ id })] as const)),
  );
  cleanups.push(() => Promise.all(Object.values(backends).map((backend) => backend.stop())));
  const members = (...names: string[]) => names.map((id) => ({ id, url: backends[id]?.url ?? "" }));
  const health = {
    protocol: "http",
    path: "/healthz",
    intervalMs: 500,
    timeoutMs: 400,
    rise: 2,
    fall: 2,
  } as const;
  const slowStart = { windowMs: RETURN_MS, fromPercent: 10 };
  const port = await consecutivePorts(GATEWAYS);
  const config: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
    routes: [
      {
        name: "bound",
        match: { path: "/bound/*" },
        proxy: "static",
        pool: "main",
        backend: "m1",
        failover: true,
      },
      { name: "all", match: { path: "/*" }, proxy: "dynamic", pool: "main" },
    ],
    pools: [
      { name: "main", backends: members("m1", "m2"), health, slowStart, ejectMs: 1_000, failoverTo: "spare" },
      { name: "spare", backends: members("s1"), health },
    ],
    debugHeaders: true,
  };
  const cluster = await startCluster({
    ...{ config, gateways: GATEWAYS, schedulers: 1, monitors: 1, redisUrl: inject("redisUrl") },
  });
  cleanups.push(() => cluster.stop());
  const client = createClient();
  const urls = cluster.gateways.map(({ url }) => `${url}${path}`);
  const load = constantRate(client, urls, PER_SECOND);
  cleanups.push(async () => {
    await load.stop();
    client.close();
  });
  const lines = async (start: string) => {
    const texts = await Promise.all(
      cluster.gateways.map(async ({ adminUrl }) => (await client.get(`${adminUrl}/metrics`)).body),
    );
    return texts.flatMap((text) => text.split("\n").filter((line) => line.startsWith(start)));
  };
  const numberOf = (line: string) => Number(line.slice(line.lastIndexOf(" ") + 1));
  return {
    ...{ cluster, backends, client, load },
    answeredBy: (sinceMs) =>
      load.answers.filter(({ startedAtMs }) => startedAtMs >= sinceMs).map(({ backend }) => backend),
    away: async () => (await lines('evenkeel_gateway_failover{pool="main"')).map(numberOf),
    counter: async (name) => (await lines(name)).map(numberOf).reduce((sum, n) => sum + n, 0),
  };
}

/** All answers of the last half second are of these. */
const only = async ({ answeredBy }: World, ids: string[], timeoutMs: number) =>
  waitFor(
    () => {
      const last = answeredBy(Date.now() - 500);
      return last.length > PER_SECOND / 4 && last.every((id) => ids.includes(id ?? ""));
    },
    { timeoutMs, what: `only ${ids.join(" and ")} to answer` },
  );

describe("a pool with another one to take over", () => {
  it("hands its requests over when it dies, and has them back as slowly as it says, without a failed response", async () => {
    const world = await open("/");
    const { backends, load, answeredBy, away } = world;
    await only(world, ["m1", "m2"], 20_000);
    expect(await away()).toEqual([0, 0]);
    await Promise.all([backends.m1?.kill(), backends.m2?.kill()]);
    await only(world, ["s1"], 15_000);
    expect(await away()).toEqual([1, 1]);
    expect(await world.counter("evenkeel_gateway_failed_over_total{")).toBeGreaterThan(PER_SECOND / 4);

    await Promise.all([backends.m1?.restart(), backends.m2?.restart()]);
    await waitFor(async () => (await away()).every((n) => n === 0), {
      timeoutMs: 20_000,
      what: "the return",
    });
    const returnedMs = Date.now();
    await only(world, ["m1", "m2"], RETURN_MS + 10_000);
    const wholeAfterMs = Date.now() - returnedMs;
    const early = load.answers.filter(
      ({ startedAtMs }) => startedAtMs >= returnedMs && startedAtMs < returnedMs + RETURN_MS / 4,
    );
    const home = early.filter(({ backend }) => backend !== "s1").length / early.length;
    console.log("home in the first quarter:", home.toFixed(2), "; all after", wholeAfterMs, "ms");
    expect(home).toBeLessThan(0.5); // 10 to 25 %, and what chance and a late look add
    expect(answeredBy(returnedMs).filter((id) => id === "s1").length).toBeGreaterThan(0);
    expect(failures(await load.stop())).toEqual([]);
  });
});

describe("a static route that fails over", () => {
  it("has another backend while its own is dead, and its own again, without a failed response", async () => {
    const world = await open("/bound/x");
    const { backends, load } = world;
    await only(world, ["m1"], 20_000);
    await backends.m1?.kill();
    await only(world, ["m2"], 10_000);
    await backends.m1?.restart();
    await only(world, ["m1"], 15_000);
    await backends.m2?.kill();
    await only(world, ["m1"], 5_000);
    await backends.m1?.kill();
    await only(world, ["s1"], 15_000);
    expect(failures(await load.stop())).toEqual([]);
  });
});
