import { request } from "node:http";
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import { shownPool } from "@evenkeel/core/wire/shown-pool.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type ApiScene,
  CONFIG,
  MEMBER,
  type SceneOptions,
  settleBody,
  startApi,
} from "../test-support/api-scene.ts";
import { EPOCH, stored } from "../test-support/memory-config-store.ts";

async function scene(options?: SceneOptions): Promise<ApiScene> {
  const started = await startApi(options);
  onTestFinished(() => started.close());
  return started;
}

const poolOf = ({ configs }: ApiScene, name: string) =>
  configs.applied?.written.pools.find((pool) => pool.name === name);

describe("reading", () => {
  it("shows a pool with its backends' state", async () => {
    const { ask, settle, model } = await scene();
    await settle("shop", settleBody({ wants: [{}, {}, {}] }));
    const answer = await ask("GET", "/v1/pools/shop");
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(shownPool((await model.read("shop")) as PoolState));
    expect(answer.body.backends.map((b: { id: string; inflight: number }) => [b.id, b.inflight])).toEqual([
      ["shop-1", 2],
      ["shop-2", 1],
    ]);
  });

  it("adds who holds what when asked", async () => {
    const { ask, settle } = await scene();
    await settle("billing", settleBody({ gateway: "g1", wants: [{}] }));
    await settle("billing", settleBody({ gateway: "g2", wants: [{}, {}] }));
    const { body } = await ask("GET", "/v1/pools/billing?rows=true");
    expect(body.rows).toEqual({ g1: { "billing-1": 1 }, g2: { "billing-1": 2 } });
    expect((await ask("GET", "/v1/pools/billing?rows=false")).body).not.toHaveProperty("rows");
  });

  it("lists all pools, restoring those that Redis lost", async () => {
    const { ask, model } = await scene();
    await model.remove("billing", EPOCH);
    const { status, body } = await ask("GET", "/v1/pools");
    expect(status).toBe(200);
    expect(body.pools.map(({ pool }: { pool: string }) => pool)).toEqual(["shop", "billing", "spare"]);
  });

  it("shows the configuration as it was written, with its version", async () => {
    const { ask } = await scene();
    const answer = await ask("GET", "/v1/config");
    expect(answer.body).toEqual({ version: EPOCH, document: CONFIG });
    expect(answer.headers.get("etag")).toBe(`"${EPOCH}"`);
  });

  it("shows the members alive", async () => {
    const { ask } = await scene();
    expect((await ask("GET", "/v1/members")).body).toEqual({ members: [MEMBER] });
  });

  it("has nothing to show without a configuration", async () => {
    const { ask } = await scene({ config: null });
    expect(await ask("GET", "/v1/pools")).toMatchObject({ status: 200, body: { pools: [] } });
    expect(await ask("GET", "/v1/config")).toMatchObject({ status: 404, body: { code: "no_config" } });
    expect(await ask("GET", "/readyz")).toMatchObject({
      status: 503,
      body: { reason: "no configuration applied" },
    });
  });
});

describe("changing the configuration", () => {
  it("adds and replaces a pool, in the ledger too", async () => {
    const s = await scene();
    const backends = [{ id: "new-1", url: "http://127.0.0.1:9009" }];
    const added = await s.ask("PUT", "/v1/pools/new", { backends });
    expect(added).toMatchObject({ status: 200, body: { version: EPOCH + 1 } });
    expect(poolOf(s, "new")).toEqual({ name: "new", backends });
    expect((await s.ask("GET", "/v1/pools/new")).body.backends).toHaveLength(1);
    await s.ask("PUT", "/v1/pools/new", { name: "new", backends, policy: "round-robin" });
    expect((await s.ask("GET", "/v1/pools/new")).body.policy).toBe("round-robin");
    expect(s.configs.applied?.version).toBe(EPOCH + 2);
  });

  it("removes a pool, from the ledger too", async () => {
    const s = await scene();
    expect((await s.ask("DELETE", "/v1/pools/spare")).status).toBe(200);
    expect(poolOf(s, "spare")).toBeUndefined();
    expect((await s.ask("GET", "/v1/pools/spare")).status).toBe(404);
  });

  it("adds, replaces and removes a backend and leaves the others as they are", async () => {
    const s = await scene();
    const path = "/v1/pools/shop/backends/shop-3";
    expect((await s.ask("PUT", path, { url: "http://127.0.0.1:9004" })).status).toBe(200);
    expect((await s.ask("PUT", path, { url: "http://127.0.0.1:9005", weight: 3 })).status).toBe(200);
    const { body } = await s.ask("GET", "/v1/pools/shop");
    expect(body.backends[2]).toMatchObject({ id: "shop-3", url: "http://127.0.0.1:9005", weight: 3 });
    expect((await s.ask("DELETE", path)).status).toBe(200);
    expect(s.configs.applied?.written).toEqual(CONFIG);
  });

  it("adds, replaces and removes a route", async () => {
    const s = await scene();
    const route = { match: { path: "/new" }, proxy: "dynamic", pool: "spare" };
    expect((await s.ask("PUT", "/v1/routes/new", route)).status).toBe(200);
    expect(s.configs.applied?.written.routes[2]).toEqual({ name: "new", ...route });
    expect((await s.ask("DELETE", "/v1/routes/new")).status).toBe(200);
    expect(s.configs.applied?.written).toEqual(CONFIG);
  });

  it("replaces the whole configuration, also where there was none", async () => {
    const s = await scene({ config: null });
    expect((await s.ask("PUT", "/v1/config", CONFIG)).body).toEqual({ version: EPOCH });
    expect((await s.ask("GET", "/v1/pools/shop")).status).toBe(200);
    expect((await s.ask("GET", "/readyz")).status).toBe(200);
  });

  it("keeps modes and counts of backends that stay", async () => {
    const s = await scene();
    await s.settle("billing", settleBody());
    await s.ask("POST", "/v1/pools/billing/backends/billing-1/drain");
    await s.ask("PUT", "/v1/pools/billing/backends/billing-1", { url: "http://127.0.0.1:9003", weight: 5 });
    const { body } = await s.ask("GET", "/v1/pools/billing");
    expect(body.backends[0]).toMatchObject({ mode: "draining", inflight: 1, weight: 5 });
  });

  it("makes the change again when another was faster, from what that one left", async () => {
    const s = await scene();
    s.configs.beforeApply = () => {
      s.configs.beforeApply = () => {};
      const document = { ...CONFIG, debugHeaders: true };
      s.configs.applied = stored(document, EPOCH + 1);
    };
    const answer = await s.ask("DELETE", "/v1/pools/spare");
    expect(answer.body).toEqual({ version: EPOCH + 2 });
    expect(s.configs.applied?.written.debugHeaders).toBe(true);
  });

  it("gives up with 409 when others are always faster", async () => {
    const s = await scene();
    s.configs.beforeApply = () => {
      if (s.configs.applied) s.configs.applied.documentVersion += 1;
    };
    const answer = await s.ask("DELETE", "/v1/pools/spare");
    expect(answer).toMatchObject({ status: 409, body: { code: "conflict" } });
    expect(poolOf(s, "spare")).toBeDefined();
  });

  it("honours If-Match", async () => {
    const s = await scene();
    const stale = await s.ask("DELETE", "/v1/pools/spare", undefined, { "if-match": `${EPOCH - 1}` });
    expect(stale).toMatchObject({ status: 412, body: { code: "version_mismatch" } });
    expect(poolOf(s, "spare")).toBeDefined();
    const fresh = await s.ask("DELETE", "/v1/pools/spare", undefined, { "if-match": `"${EPOCH}"` });
    expect(fresh.status).toBe(200);
  });
});

describe("modes", () => {
  it("says of a draining backend when nothing is in flight any more", async () => {
    const { ask, settle } = await scene();
    const path = "/v1/pools/billing/backends/billing-1";
    const drained = async () => (await ask("GET", "/v1/pools/billing")).body.backends[0].drained;
    expect(await drained()).toBe(false);
    await settle("billing", settleBody());
    await ask("POST", `${path}/drain`);
    expect(await drained()).toBe(false);
    await settle("billing", settleBody({ seq: 2, held: {}, wants: [] }));
    expect(await drained()).toBe(true);
    expect((await ask("GET", "/v1/pools")).body.pools[1].backends[0].drained).toBe(true);
    await ask("POST", `${path}/activate`);
    expect(await drained()).toBe(false);
  });

  it("drains, disables and activates, and answers the backend as it is then", async () => {
    const { ask, settle } = await scene();
    const path = "/v1/pools/billing/backends/billing-1";
    await settle("billing", settleBody({ gateway: "g1" }));
    expect(await ask("POST", `${path}/drain`)).toMatchObject({
      status: 200,
      body: { id: "billing-1", mode: "draining", ready: false, inflight: 1, drained: false },
    });
    expect((await settle("billing", settleBody({ gateway: "g2" }))).body.picks).toEqual([null]);
    expect((await ask("POST", `${path}/disable`)).body.mode).toBe("disabled");
    expect((await ask("POST", `${path}/activate`)).body).toMatchObject({ mode: "active", ready: true });
    expect((await settle("billing", settleBody({ gateway: "g3" }))).body.picks).toEqual(["billing-1"]);
  });
});

const BACKEND = { url: "http://127.0.0.1:9001" };
type Request = [method: string, path: string, body?: unknown, headers?: Record<string, string>];
const put = (path: string, body?: unknown): Request => ["PUT", path, body];

/** What is wrong → the request, and the status it gets. */
const REFUSED: [string, Request, number][] = [
  ["an unknown resource", ["GET", "/v1/nothing"], 404],
  ["a wrong method", ["PATCH", "/v1/config", {}], 404],
  ["a path that cannot be decoded", ["GET", "/v1/pools/%zz"], 400],
  ["a pool that is no name", ["GET", "/v1/pools/-x"], 400],
  ["an unknown pool", ["GET", "/v1/pools/ghost"], 404],
  ["a query that is no choice", ["GET", "/v1/pools/shop?rows=maybe"], 400],
  ["draining in an unknown pool", ["POST", "/v1/pools/ghost/backends/x/drain"], 404],
  ["draining an unknown backend", ["POST", "/v1/pools/shop/backends/ghost/drain"], 404],
  ["draining what is no name", ["POST", "/v1/pools/shop/backends/..%2Fx/drain"], 400],
  ["an unknown action", ["POST", "/v1/pools/shop/backends/shop-1/explode"], 404],
  ["malformed JSON", put("/v1/config", "{"), 400],
  ["a body too large", put("/v1/config", JSON.stringify("x".repeat(17_000_000))), 413],
  ["an If-Match that is no version", ["DELETE", "/v1/pools/spare", undefined, { "if-match": "soon" }], 400],
  ["a configuration without a body", put("/v1/config"), 400],
  ["a configuration that is a list", put("/v1/config", []), 400],
  ["an empty configuration", put("/v1/config", {}), 400],
  ["a configuration with an unknown key", put("/v1/config", { ...CONFIG, colour: "red" }), 400],
  ["a pool without a body", put("/v1/pools/new"), 400],
  ["a pool that is null", put("/v1/pools/new", "null"), 400],
  ["a pool that is a list", put("/v1/pools/new", []), 400],
  ["a pool without backends", put("/v1/pools/new", {}), 400],
  ["a pool with an unknown policy", put("/v1/pools/new", { backends: [], policy: "fastest" }), 400],
  ["a pool under another name", put("/v1/pools/new", { name: "old", backends: [] }), 400],
  ["a pool whose name is no name", put("/v1/pools/-new", { backends: [] }), 400],
  [
    "a pool with one backend twice",
    put("/v1/pools/new", { backends: [1, 2].map(() => ({ ...BACKEND, id: "a" })) }),
    400,
  ],
  ["removing an unknown pool", ["DELETE", "/v1/pools/ghost"], 404],
  ["removing a pool that a route needs", ["DELETE", "/v1/pools/shop"], 400],
  ["a backend in an unknown pool", put("/v1/pools/ghost/backends/x", BACKEND), 404],
  ["a backend without a URL", put("/v1/pools/shop/backends/x", {}), 400],
  ["a backend with weight 0", put("/v1/pools/shop/backends/x", { ...BACKEND, weight: 0 }), 400],
  ["a backend with a bad URL", put("/v1/pools/shop/backends/x", { url: "shop-9:80" }), 400],
  ["removing an unknown backend", ["DELETE", "/v1/pools/shop/backends/ghost"], 404],
  ["removing a backend that a static route needs", ["DELETE", "/v1/pools/billing/backends/billing-1"], 400],
  [
    "a route to a pool that is not there",
    put("/v1/routes/x", { match: {}, proxy: "dynamic", pool: "ghost" }),
    400,
  ],
  ["removing an unknown route", ["DELETE", "/v1/routes/ghost"], 404],
];

describe("refusing", () => {
  it.each(REFUSED)("refuses %s, changes nothing and goes on", async (_what, request, status) => {
    const s = await scene();
    const answer = await s.ask(...request);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(/\w/);
    expect(s.configs.applied).toMatchObject({ version: EPOCH, written: CONFIG });
    const { body } = await s.ask("GET", "/v1/pools/shop");
    expect(body).toEqual(shownPool((await s.model.read("shop")) as PoolState));
    expect((await s.ask("GET", "/healthz")).status).toBe(200);
  });

  it("names every fault of a configuration with its place", async () => {
    const { ask } = await scene();
    const { body } = await ask("PUT", "/v1/pools/new", {
      backends: [{ ...BACKEND, id: "a", weight: -1 }, { id: "b" }],
      colour: "red",
    });
    expect(body.code).toBe("invalid_config");
    const paths = body.problems.map(({ path }: { path: string }) => path);
    expect(paths).toContain("/pools/3/backends/0/weight");
    expect(paths.length).toBeGreaterThanOrEqual(3);
  });

  it("answers 503 with a code while Redis is away", async () => {
    const { ask, configs } = await scene();
    configs.down = new Error("Connection is closed.");
    const requests: Request[] = [
      ["GET", "/v1/config"],
      ["GET", "/v1/pools"],
      ["PUT", "/v1/config", CONFIG],
      ["DELETE", "/v1/pools/spare"],
    ];
    for (const request of requests) {
      expect(await ask(...request)).toMatchObject({ status: 503, body: { code: "redis_unavailable" } });
    }
    configs.down = null;
    expect((await ask("DELETE", "/v1/pools/spare")).status).toBe(200);
  });

  it("hides what went wrong inside, and goes on", async () => {
    const { ask } = await scene({
      wrap: (ledger) => ({
        ...ledger,
        rows: () => {
          throw new Error("secret detail");
        },
      }),
    });
    const answer = await ask("GET", "/v1/pools/shop?rows=true");
    expect(answer).toMatchObject({ status: 500, body: { error: "internal error", code: "internal" } });
    expect((await ask("GET", "/v1/pools/shop")).status).toBe(200);
  });

  it("obeys no web page that a browser on this machine shows, where no token is set", async () => {
    const { url } = await scene();
    const drain = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const target = `${url}/v1/pools/shop/backends/shop-1/drain`;
        const sent = request(target, { method: "POST", headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        sent.on("error", reject);
        sent.end();
      });
    expect(await drain({ origin: "https://evil.example" })).toBe(403);
    expect(await drain({ origin: "null" })).toBe(403);
    expect(await drain({ host: "evil.example" })).toBe(403);
    expect(await drain({ host: "127.0.0.1.evil.example:80" })).toBe(403);
    expect(await drain({ host: "localhost:8080" })).toBe(200);
    expect(await drain({})).toBe(200);
  });

  it("lets only those with the token change anything, and everyone read", async () => {
    const { ask } = await scene({ token: "s3cret" });
    const drain = "/v1/pools/shop/backends/shop-1/drain";
    const requests: Request[] = [
      ["POST", drain],
      ["PUT", "/v1/config", CONFIG],
      ["PUT", "/v1/pools/new", { backends: [] }],
      ["DELETE", "/v1/pools/spare"],
      ["PUT", "/v1/pools/shop/backends/x", BACKEND],
      ["DELETE", "/v1/pools/shop/backends/shop-2"],
      ["PUT", "/v1/routes/x", {}],
      ["DELETE", "/v1/routes/shop"],
    ];
    for (const request of requests) {
      expect((await ask(...request)).status).toBe(401);
    }
    expect((await ask("GET", "/v1/config")).body).toEqual({ version: EPOCH, document: CONFIG });
    const bearer = { authorization: "Bearer s3cret" };
    expect((await ask("POST", drain, undefined, bearer)).body.mode).toBe("draining");
  });
});
