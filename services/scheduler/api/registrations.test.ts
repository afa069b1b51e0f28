import type { BackendDocument, ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { Value } from "typebox/value";
import { describe, expect, it, onTestFinished } from "vitest";
import { CONFIG, MEMBER, type SceneOptions, startApi } from "../test-support/api-scene.ts";
import { RegistrationListSchema, RenewalSchema } from "./registrations.ts";

const OPEN: PoolDocument = {
  name: "open",
  backends: [{ id: "fixed-1", url: "http://10.0.0.1:8080" }],
  discovery: {
    registration: { allow: ["10.0.0.0/8", "127.0.0.0/8", "fd00::/8"], ttlMs: 6_000, maxBackends: 3 },
  },
};
const BROAD: PoolDocument = {
  name: "broad",
  backends: [],
  discovery: { registration: { allow: ["0.0.0.0/0", "::/0"] } },
};
const DOCUMENT: ConfigDocument = {
  ...CONFIG,
  listeners: [
    { name: "web", protocol: "http", port: 8080 },
    { name: "inner", protocol: "http", port: 8181, address: "10.0.0.9" },
    { name: "names", protocol: "udp", port: 5353 },
  ],
  pools: [...CONFIG.pools, OPEN, BROAD],
};

async function scene(options: SceneOptions = {}) {
  const started = await startApi({ config: DOCUMENT, ...options });
  onTestFinished(() => started.close());
  const { ask } = started;
  const path = (id: string, pool = "open") => `/v1/pools/${pool}/registrations/${id}`;
  return {
    ...started,
    path,
    register: (id: string, body: unknown, pool?: string) => ask("PUT", path(id, pool), body),
    leave: (id: string, pool?: string) => ask("DELETE", path(id, pool)),
    list: (pool = "open") => ask("GET", `/v1/pools/${pool}/registrations`),
  };
}

const at = (host: string) => ({ url: `http://${host}:9000` });

describe("registering", () => {
  it("takes a backend with its facts, says when to renew, and shows it", async () => {
    const { register, list } = await scene();
    const answer = await register("a", { ...at("10.0.0.5"), weight: 3, zone: "eu", ttlMs: 3_000 });
    expect(answer).toMatchObject({ status: 200, body: { ttlMs: 3_000, renewAfterMs: 1_000 } });
    expect([...Value.Errors(RenewalSchema, answer.body)]).toEqual([]);
    expect((await register("b", at("10.0.0.6"))).body).toEqual({ ttlMs: 6_000, renewAfterMs: 2_000 });
    const { body } = await list();
    expect([...Value.Errors(RegistrationListSchema, body)]).toEqual([]);
    expect(body.registrations[0]).toEqual({
      ...{ id: "a", url: "http://10.0.0.5:9000", weight: 3, zone: "eu", ttlMs: 3_000 },
      renewedMs: body.nowMs,
      expiresMs: body.nowMs + 3_000,
    });
    expect((await list("broad")).body.registrations).toEqual([]);
  });

  it("takes the same again as a renewal, and other facts of the same address", async () => {
    const { register, list } = await scene();
    await register("a", at("10.0.0.5"));
    expect((await register("a", at("10.0.0.5"))).status).toBe(200);
    expect((await register("a", { ...at("10.0.0.5"), weight: 7 })).status).toBe(200);
    expect((await list()).body.registrations).toMatchObject([{ id: "a", weight: 7 }]);
  });

  it("is counted by how it ended", async () => {
    const { register, results } = await scene();
    await register("a", at("10.0.0.5"));
    await register("a", at("10.0.0.5"));
    await register("b", at("10.0.0.5"));
    await register("b", at("192.168.0.1"));
    expect(results).toEqual(["taken", "taken", "already_taken", "forbidden_address"]);
  });

  it("lets one leave at once", async () => {
    const { register, leave, list } = await scene();
    await register("a", at("10.0.0.5"));
    expect((await leave("a")).status).toBe(200);
    expect((await list()).body.registrations).toEqual([]);
    expect(await leave("a")).toMatchObject({ status: 404, body: { code: "unknown_registration" } });
  });

  it("takes IPv6 addresses too", async () => {
    const { register } = await scene();
    expect((await register("a", { url: "http://[fd00::5]:9000" })).status).toBe(200);
    expect(await register("b", { url: "http://[FD00:0::5]:9000" })).toMatchObject({ status: 409 });
  });

  it("is judged together with the pool's defaults", async () => {
    const pool: PoolDocument = {
      ...OPEN,
      policy: "first",
      backends: [],
      discovery: { ...OPEN.discovery, defaults: { maxInflight: 5 } },
    };
    const { register, list } = await scene({ config: { ...DOCUMENT, pools: [...CONFIG.pools, pool] } });
    expect((await register("a", at("10.0.0.5"))).status).toBe(200);
    expect((await list()).body.registrations[0]).not.toHaveProperty("maxInflight");
  });
});

/** What is wrong → pool, body, and what the answer says. */
const REFUSED: [string, string, unknown, [status: number, code: string, text: RegExp]][] = [
  ["an unknown pool", "ghost", at("10.0.0.5"), [404, "unknown_pool", /ghost/]],
  [
    "a pool that takes none",
    "shop",
    at("10.0.0.5"),
    [403, "registration_not_allowed", /discovery\.registration/],
  ],
  ["no body", "open", undefined, [400, "invalid_request", /body/]],
  ["malformed JSON", "open", "{", [400, "invalid_request", /JSON/]],
  ["a list", "open", [], [400, "invalid_request", /object/]],
  ["no url", "open", {}, [400, "invalid_request", /url/]],
  ["a url that is no text", "open", { url: 5 }, [400, "invalid_request", /string/]],
  ["a url that is none", "open", { url: "10.0.0.5:80" }, [400, "invalid_request", /origin/]],
  ["a url with a path", "open", { url: "http://10.0.0.5/x" }, [400, "invalid_request", /remove "\/x"/]],
  ["a url with credentials", "open", { url: "http://u:p@10.0.0.5" }, [400, "invalid_request", /credentials/]],
  ["a scheme that is none", "open", { url: "ftp://10.0.0.5:21" }, [400, "invalid_request", /ftp/]],
  [
    "a protocol the pool does not serve",
    "open",
    { url: "tcp://10.0.0.5:21" },
    [400, "invalid_request", /http, not tcp/],
  ],
  [
    "a name",
    "open",
    { url: "http://backend.internal:80" },
    [400, "invalid_request", /"backend\.internal".*address/],
  ],
  [
    "a name that looks like a number",
    "open",
    { url: "http://localhost:9000" },
    [400, "invalid_request", /"localhost"/],
  ],
  ["an unknown key", "open", { ...at("10.0.0.5"), colour: "red" }, [400, "invalid_request", /additional/]],
  ["weight 0", "open", { ...at("10.0.0.5"), weight: 0 }, [400, "invalid_request", /weight/]],
  [
    "another id than in the path",
    "open",
    { ...at("10.0.0.5"), id: "y" },
    [400, "invalid_request", /"x".*"y"/],
  ],
  [
    "a ttl longer than the pool's",
    "open",
    { ...at("10.0.0.5"), ttlMs: 6_001 },
    [400, "invalid_request", /at most 6000/],
  ],
  [
    "a ttl too short to be renewed",
    "open",
    { ...at("10.0.0.5"), ttlMs: 999 },
    [400, "invalid_request", /1000/],
  ],
  [
    "a ttl of 1e300",
    "open",
    '{"url":"http://10.0.0.5:9000","ttlMs":1e300}',
    [400, "invalid_request", /ttlMs/],
  ],
  ["an address outside the allow list", "open", at("192.168.0.1"), [403, "forbidden_address", /allow/]],
  [
    "an IPv6 address outside it",
    "open",
    { url: "http://[2001:db8::1]:80" },
    [403, "forbidden_address", /allow/],
  ],
  ["the metadata service", "broad", at("169.254.169.254"), [403, "forbidden_address", /169\.254\.169\.254/]],
  [
    "the metadata service in IPv6 spelling",
    "broad",
    at("[::ffff:169.254.169.254]"),
    [403, "forbidden_address", /metadata|link-local/],
  ],
  ["the metadata service as a number", "broad", at("2852039166"), [403, "forbidden_address", /link-local/]],
  ["an unspecified address", "broad", at("0.0.0.0"), [403, "forbidden_address", /unspecified/]],
  ["a multicast address", "broad", at("224.0.0.1"), [403, "forbidden_address", /multicast/]],
  [
    "a listener by loopback",
    "broad",
    { url: "http://127.0.0.1:8080" },
    [403, "forbidden_address", /listener "web"/],
  ],
  [
    "a listener by another loopback",
    "broad",
    { url: "http://127.9.9.9:8080" },
    [403, "forbidden_address", /listener "web"/],
  ],
  [
    "a listener by IPv6 loopback",
    "broad",
    { url: "http://[::1]:8080" },
    [403, "forbidden_address", /listener "web"/],
  ],
  [
    "a listener by its own address",
    "broad",
    { url: "http://10.0.0.9:8181" },
    [403, "forbidden_address", /listener "inner"/],
  ],
  [
    "a listener for datagrams",
    "broad",
    { url: "udp://127.0.0.1:5353" },
    [403, "forbidden_address", /listener "names"/],
  ],
  [
    "a member's admin port",
    "broad",
    { url: "http://127.0.0.1:7701" },
    [403, "forbidden_address", /admin port of gateway-1/],
  ],
  [
    "the id of a configured backend",
    "open",
    at("10.0.0.5"),
    [409, "already_taken", /configured backend "fixed-1"/],
  ],
  [
    "the url of a configured backend",
    "open",
    { url: "http://10.0.0.1:8080/" },
    [409, "already_taken", /configured backend "fixed-1"/],
  ],
];

describe("refusing to register", () => {
  it.each(REFUSED)(
    "refuses %s with the reason, and keeps nothing",
    async (what, pool, body, [status, code, text]) => {
      const { register, list } = await scene();
      const answer = await register(what.startsWith("the id of") ? "fixed-1" : "x", body, pool);
      expect(answer).toMatchObject({ status, body: { code } });
      expect(answer.body.error).toMatch(text);
      expect((await list()).body.registrations).toEqual([]);
      expect((await list("broad")).body.registrations).toEqual([]);
    },
  );

  it.each(["-x", "a%2Fb", "%zz", "a".repeat(64)])("refuses the id %s", async (id) => {
    const { register } = await scene();
    expect((await register(id, at("10.0.0.5"))).status).toBe(400);
  });

  it("says who has an id or an address, and until when", async () => {
    const { register } = await scene();
    await register("a", at("10.0.0.5"));
    const sameId = await register("a", at("10.0.0.6"));
    expect(sameId).toMatchObject({ status: 409, body: { code: "already_taken", at: "/id" } });
    expect(sameId.body.error).toMatch(/registration "a" \(http:\/\/10\.0\.0\.5:9000\).*until 20\d\d-.*Z/);
    const sameUrl = await register("b", { url: "http://10.0.0.5:9000/" });
    expect(sameUrl).toMatchObject({ status: 409, body: { code: "already_taken", at: "/url" } });
    expect((await register("a", at("10.0.0.5"), "broad")).status).toBe(200);
  });

  it("takes no more than the pool's share, renewals excepted", async () => {
    const { register, leave } = await scene();
    for (const n of [1, 2, 3]) expect((await register(`a${n}`, at(`10.0.1.${n}`))).status).toBe(200);
    expect(await register("a4", at("10.0.1.4"))).toMatchObject({ status: 429, body: { code: "pool_full" } });
    expect((await register("a3", { ...at("10.0.1.3"), weight: 2 })).status).toBe(200);
    await leave("a1");
    expect((await register("a4", at("10.0.1.4"))).status).toBe(200);
  });

  it("does not renew what the configuration forbids by now", async () => {
    const { register, ask } = await scene();
    await register("a", at("10.0.0.5"));
    const narrowed = { ...OPEN, discovery: { registration: { allow: ["10.1.0.0/16"] } } };
    expect((await ask("PUT", "/v1/pools/open", narrowed)).status).toBe(200);
    expect(await register("a", at("10.0.0.5"))).toMatchObject({ status: 403 });
    const taken: BackendDocument[] = [{ id: "a", url: "http://10.0.0.7:80" }];
    await ask("PUT", "/v1/pools/open", { ...OPEN, backends: taken });
    expect(await register("a", at("10.0.0.5"))).toMatchObject({ status: 409 });
  });

  it("knows the cluster's hosts by what members announce", async () => {
    const members = ["10.0.0.20", "10.0.0.20", "10.0.0.21"].map((host, i) => ({
      ...MEMBER,
      id: `gateway-${i}.x`,
      adminUrl: `http://${host}:${7700 + i}`,
    }));
    const { register } = await scene({ members });
    const status = async (url: string) => (await register("x", { url }, "broad")).status;
    expect(await status("http://10.0.0.20:8080")).toBe(403);
    expect(await status("http://10.0.0.20:8081")).toBe(403); // two gateways there
    expect(await status("http://[::ffff:10.0.0.20]:8080")).toBe(403);
    expect(await status("http://10.0.0.21:7702")).toBe(403);
    expect(await status("http://10.0.0.21:8081")).toBe(200);
  });

  it("answers 503 while Redis is away, and 404 without a configuration", async () => {
    const { register, list, leave, registrations } = await scene();
    registrations.down = new Error("Connection is closed.");
    for (const answer of [await register("a", at("10.0.0.5")), await list(), await leave("a")]) {
      expect(answer).toMatchObject({ status: 503, body: { code: "redis_unavailable" } });
    }
    const bare = await scene({ config: null });
    expect(await bare.register("a", at("10.0.0.5"))).toMatchObject({
      status: 404,
      body: { code: "no_config" },
    });
  });
});

describe("who may register", () => {
  it("is whoever shows either token, and the register token is good for nothing else", async () => {
    const { ask, path } = await scene({ token: "operator", registerToken: "backend" });
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    const body = at("10.0.0.5");
    expect((await ask("PUT", path("a"), body)).status).toBe(401);
    expect((await ask("PUT", path("a"), body, bearer("wrong"))).status).toBe(401);
    expect((await ask("PUT", path("a"), body, bearer(""))).status).toBe(401);
    expect((await ask("PUT", path("a"), body, bearer("backend"))).status).toBe(200);
    expect((await ask("PUT", path("a"), body, bearer("operator"))).status).toBe(200);
    expect((await ask("DELETE", path("a"), undefined, bearer("backend"))).status).toBe(200);
    expect((await ask("DELETE", "/v1/pools/spare", undefined, bearer("backend"))).status).toBe(401);
    expect((await ask("GET", "/v1/pools/open/registrations")).status).toBe(200);
  });

  it("needs a token from everyone once only the register token is set", async () => {
    const { ask, path } = await scene({ registerToken: "backend" });
    expect((await ask("PUT", path("a"), at("10.0.0.5"))).status).toBe(401);
    const shown = { authorization: "Bearer backend" };
    expect((await ask("PUT", path("a"), at("10.0.0.5"), shown)).status).toBe(200);
    expect((await ask("DELETE", "/v1/pools/spare")).status).toBe(200);
  });
});
