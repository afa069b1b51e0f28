// How a pool is scheduled, changed through the API: what is refused at run time, and what a live pool keeps.
import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { POLICIES } from "@evenkeel/core/config/schema.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ApiScene, CONFIG, settleBody, startApi } from "../test-support/api-scene.ts";
import { EPOCH } from "../test-support/memory-config-store.ts";

const backend = (n: number, more: object = {}) => ({ id: `b${n}`, url: `http://127.0.0.1:910${n}`, ...more });
const backends = [backend(1, { zone: "eu" }), backend(2, { zone: "us" })];

const GEOGRAPHY = {
  zones: [{ name: "eu" }, { name: "us" }, { name: "island" }],
  distances: [{ between: ["eu", "us"], distance: 6_000 }],
};

/** What is wrong → the pool that is put, and where and why it is refused. */
const REFUSED: [string, object, string, string][] = [
  ["an unknown policy", { policy: "fastest", backends }, "/policy", '"two-choices"'],
  ["another policy's settings", { hash: { key: "path" }, backends }, "/hash", "has no use for `hash`"],
  [
    "a hash without a name",
    { policy: "hash", hash: { key: "header" }, backends },
    "/hash/name",
    "is missing",
  ],
  ["policy criteria without any", { policy: "criteria", backends }, "/criteria", "is missing"],
  [
    "a criterion nobody reports",
    {
      policy: "criteria",
      criteria: [{ name: "cpo", weight: 1 }],
      reports: { header: ["cpu"] },
      backends,
    },
    "/criteria/0/name",
    'did you mean "cpu"?',
  ],
  [
    "an agent nobody asks",
    { reports: { agent: { path: "/", metrics: ["cpu"] } }, backends },
    "/reports/agent",
    "needs `health`",
  ],
  [
    "policy first without an overflow",
    { policy: "first", backends },
    "/backends/0/maxInflight",
    "never serve",
  ],
  ["policy geo without geography", { policy: "geo", backends }, "/policy", "needs `geography`"],
];

describe("how a pool is scheduled", () => {
  let scene: ApiScene;
  beforeEach(async () => {
    scene = await startApi();
  });
  afterEach(() => scene.close());

  const withGeography = () => scene.ask("PUT", "/v1/config", { ...CONFIG, geography: GEOGRAPHY });

  it.each(REFUSED)("is refused with %s, by its place and the reason", async (_, pool, path, reason) => {
    const answer = await scene.ask("PUT", "/v1/pools/new", pool);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_config" } });
    const found = answer.body.problems.filter(
      (problem: { path: string }) => problem.path === `/pools/3${path}`,
    );
    expect(found[0]?.message, JSON.stringify(answer.body.problems)).toContain(reason);
    expect(scene.configs.applied).toMatchObject({ version: EPOCH, written: CONFIG });
  });

  it("is refused with a zone without a distance, naming the pair", async () => {
    const config: ConfigDocument = { ...CONFIG, geography: GEOGRAPHY };
    const pools = [...CONFIG.pools, { name: "near", policy: "geo", backends } satisfies PoolDocument];
    const answer = await scene.ask("PUT", "/v1/config", { ...config, pools });
    expect(answer.status).toBe(400);
    expect(answer.body.problems).toEqual([
      { path: "/geography/zones/2", message: expect.stringContaining('between "eu" and "island"') },
      { path: "/geography/zones/2", message: expect.stringContaining('between "island" and "us"') },
    ]);
  });

  it("is refused with a backend added to a place that its policy cannot reckon with", async () => {
    const distances = [...GEOGRAPHY.distances, { between: ["island", "eu"], distance: 9_000 }];
    const geography = { ...GEOGRAPHY, distances };
    const near = { name: "near", policy: "geo", backends: [backends[0]] };
    const pools = [...CONFIG.pools, near];
    expect((await scene.ask("PUT", "/v1/config", { ...CONFIG, geography, pools })).status).toBe(200);
    const add = (zone?: string) => scene.ask("PUT", "/v1/pools/near/backends/b2", { ...backend(2), zone });
    expect((await add()).body.problems[0].path).toBe("/pools/3/backends/1/zone");
    expect((await add("moon")).body.problems[0].message).toContain('no zone "moon"');
    expect((await add("us")).body.problems[0].message).toContain('between "island" and "us"');
    expect((await add("eu")).status).toBe(200);
  });

  it("changes on a live pool, through every policy, without losing a count", async () => {
    await withGeography();
    await scene.settle("shop", settleBody({ wants: [{}, {}, {}] }));
    const counts = async () =>
      (await scene.ask("GET", "/v1/pools/shop")).body.backends.map((b: { inflight: number }) => b.inflight);
    const before = await counts();
    const [one, two] = CONFIG.pools[0]?.backends ?? [];
    const needs: Partial<Record<string, object>> = {
      criteria: { criteria: [{ name: "connections", weight: 1 }] },
      first: { backends: [{ ...one, maxInflight: 10 }, two] },
    };
    for (const policy of POLICIES.filter((policy) => policy !== "geo")) {
      const pool = { ...CONFIG.pools[0], policy, ...needs[policy] };
      expect((await scene.ask("PUT", "/v1/pools/shop", pool)).status, policy).toBe(200);
      expect((await scene.ask("GET", "/v1/pools/shop")).body.policy).toBe(policy);
      expect(await counts()).toEqual(before);
    }
  });
});
