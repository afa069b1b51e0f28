import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { keepServices } from "./compile.ts";
import {
  type AccessPart,
  type Asking,
  ask,
  askAtOnce,
  compile,
  createTestServices,
  valueIn,
} from "./test-support/asking.ts";
import { startServer } from "./test-support/servers.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const KEYS = {
  keys: [
    { name: "partner", sha256: sha256("k1") },
    { name: "other", sha256: sha256("k2") },
  ],
};
const REFUSED = "evenkeel_gateway_access_refused_total";

const withKey = (key: string, more: Asking = {}): Asking => ({ headers: [["x-api-key", key]], ...more });
const limited = (more: object = {}): AccessPart => ({
  rateLimit: { requests: 10, perMs: 1_000, burst: 2, ...more } as never,
});

describe("the access of a route", () => {
  it("is none where nothing is configured", () => {
    const services = createTestServices();
    expect(compile({}, services)).toBeNull();
    expect(compile({ access: { consumerHeader: "x-user" } }, services)).toBeNull();
  });

  it("answers before it returns, and grants nothing where nothing changes", () => {
    const access = compile({ access: { allow: ["192.0.2.0/24"] } }, createTestServices());
    expect(askAtOnce(access)).toEqual({ refusal: null, grant: null });
    expect(askAtOnce(access, { client: "198.51.100.1" })?.refusal?.status).toBe(403);
  });

  it("goes from the cheapest check to the dearest: who is refused early costs nothing later", async () => {
    let asked = 0;
    const server = await startServer((_, response) => {
      asked += 1;
      response.writeHead(418).end();
    });
    const services = createTestServices();
    const certificate = { subject: "CN=a", names: "", fingerprint: "00" };
    const access = compile(
      {
        access: {
          ...{ deny: ["198.51.100.0/24"], clientCertificate: { subjects: ["CN=a"] } },
          apiKeys: { header: "x-key", ...KEYS },
          basic: { users: [{ name: "alice", hash: `sha256:${sha256("p")}` }] },
          jwt: { jwks: `${server.url}/jwks`, issuer: "i", audiences: ["a"], header: "x-token" },
          forwardAuth: { url: server.url },
        },
        ...limited({ burst: 3 }),
      },
      services,
    );
    const key: [string, string] = ["x-key", "k1"];
    const login: [string, string] = ["authorization", `Basic ${Buffer.from("alice:p").toString("base64")}`];
    const steps: [Asking, number, string][] = [
      [{ client: "198.51.100.1" }, 403, "network"],
      [{}, 403, "client-certificate"],
      [{ certificate }, 401, "api-key"],
      [{ certificate, headers: [key] }, 401, "basic"],
      [{ certificate, headers: [key, login] }, 401, "jwt"],
      [{ certificate, headers: [key, login] }, 429, "rate-limit"],
    ];
    for (const [asking, status, check] of steps) {
      expect((await ask(access, asking)).refusal?.status).toBe(status);
      expect(await services.metric(REFUSED, { check })).toBe(1);
    }
    expect(asked).toBe(0);
    expect(services.redis.calls).toHaveLength(4);
  });

  it("removes what clients write in the place of a grant, also in spellings that some backends take for the same", () => {
    const part = { access: { apiKeys: KEYS, consumerHeader: "X-Consumer-Id" } };
    const spoofed: [string, string][] = [
      ["X-Consumer-Id", "root"],
      ["x_consumer_id", "root"],
      ["X-Consumer_Id", "root"],
      ["X_API_KEY", "k2"],
      ["x-consumer-idx", "1"],
      ["x_request", "1"],
    ];
    const told = askAtOnce(compile(part, createTestServices()), {
      headers: [["x-api-key", "k1"], ...spoofed],
    });
    expect(told?.grant?.remove.toSorted()).toEqual(
      ["x-api-key", "x-consumer-id", "x_consumer_id", "x-consumer_id", "x_api_key"].toSorted(),
    );
    expect(told?.grant?.set).toEqual(["x-consumer-id", "x-consumer-id", "partner"]);
  });

  it("removes both spellings where the configured name has an underscore", () => {
    const part = { access: { apiKeys: KEYS, consumerHeader: "x_consumer" } };
    const told = askAtOnce(compile(part, createTestServices()), withKey("k1"));
    expect(told?.grant?.remove).toEqual(expect.arrayContaining(["x_consumer", "x-consumer"]));
  });

  it("refuses with 500 when a check breaks, and never throws", () => {
    const services = createTestServices();
    const access = compile({ access: { apiKeys: KEYS } }, services);
    const told: unknown[] = [];
    const request = { head: { fields: null } } as never;
    access?.check(request, (refusal) => told.push(refusal));
    expect(told).toMatchObject([{ status: 500 }]);
    expect(services.logged.join()).toContain("access check failed");
  });

  it("keeps what a new configuration still names, and drops the rest", () => {
    const services = createTestServices();
    const source = { kind: "jwks", at: "https://a.example/jwks" } as const;
    const before = services.keySource(source);
    const route = { access: { jwt: { source }, forwardAuth: { url: "http://auth/" } } };
    const outage = services.outageOf("http://auth/");
    keepServices({ routes: [route] } as never, services);
    expect(services.keySource(source)).toBe(before);
    expect(services.outageOf("http://auth/")).toBe(outage);
    keepServices({ routes: [{ access: null }] } as never, services);
    expect(services.keySource(source)).not.toBe(before);
    expect(services.outageOf("http://auth/")).not.toBe(outage);
  });
});

describe("a route's rate limit", () => {
  it("lets the burst pass and tells how much is left, then refuses with 429 and when to come back", async () => {
    const services = createTestServices();
    const access = compile(limited({ requests: 1, perMs: 5_000 }), services);
    const first = await ask(access);
    expect(first.refusal).toBeNull();
    expect(first.grant?.answer).toEqual([
      ...["RateLimit-Policy", "ratelimit-policy", '"client";q=1;w=5'],
      ...["RateLimit", "ratelimit", '"client";r=1;t=0'],
    ]);
    const second = await ask(access);
    expect(valueIn(second.grant?.answer, "ratelimit")).toBe('"client";r=0;t=5');
    const { refusal } = await ask(access);
    expect(refusal?.status).toBe(429);
    expect(valueIn(refusal?.fields, "retry-after")).toBe("5");
    expect(valueIn(refusal?.fields, "ratelimit")).toBe('"client";r=0;t=5');
    services.advance(5_000);
    expect((await ask(access)).refusal).toBeNull();
  });

  it("leaves the window out where it is no whole number of seconds", async () => {
    const { grant } = await ask(compile(limited({ perMs: 1_500 }), createTestServices()));
    expect(valueIn(grant?.answer, "ratelimit-policy")).toBe('"client";q=10');
  });

  const passed = async (part: AccessPart, askings: Asking[], services = createTestServices()) => {
    const access = compile(part, services);
    const statuses: (number | null)[] = [];
    for (const asking of askings) statuses.push((await ask(access, asking)).refusal?.status ?? null);
    return statuses;
  };
  const from = (...clients: string[]) => clients.map((client) => ({ client }));

  it("counts each client by itself; of IPv6 all addresses of one /64 together", async () => {
    expect(await passed(limited(), from("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"))).toEqual([
      null,
      null,
      null,
      429,
    ]);
    expect(
      await passed(limited(), from("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1", "2001:db8::3")),
    ).toEqual([...[null, null, null, 429]]);
    expect(await passed(limited(), from("::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.3"))).toEqual(
      [null, null, null],
    );
  });

  it("counts all requests of the route", async () => {
    expect(await passed(limited({ key: "route" }), from("192.0.2.1", "192.0.2.2", "192.0.2.3"))).toEqual([
      null,
      null,
      429,
    ]);
  });

  it("counts by the value of a header, and by client where there is none", async () => {
    const tenant = (value: string, client = "192.0.2.1"): Asking => ({
      client,
      headers: [["X-Tenant", value]],
    });
    const part = limited({ key: "header", header: "X-Tenant" });
    expect(await passed(part, [tenant("a"), tenant("a", "192.0.2.2"), tenant("b"), tenant("a")])).toEqual([
      ...[null, null, null, 429],
    ]);
    expect(await passed(part, from("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"))).toEqual([
      null,
      null,
      null,
      429,
    ]);
  });

  it("counts by consumer, whatever its address, and only requests that were let in", async () => {
    const services = createTestServices();
    const part: AccessPart = { access: { apiKeys: KEYS }, ...limited({ key: "consumer" }) };
    const askings = [
      withKey("k1"),
      withKey("wrong"),
      withKey("k1", { client: "192.0.2.9" }),
      withKey("k2"),
      withKey("k1"),
    ];
    expect(await passed(part, askings, services)).toEqual([null, 401, null, null, 429]);
    expect(services.redis.calls).toHaveLength(4);
  });

  it("counts requests that will be refused for their key, so that keys cannot be guessed at will", async () => {
    const part: AccessPart = { access: { apiKeys: KEYS }, ...limited() };
    const guesses = ["a", "b", "c"].map((key) => withKey(key));
    expect(await passed(part, guesses)).toEqual([401, 401, 429]);
  });

  it("keeps routes apart, and leaves neither addresses nor values in the names of keys", async () => {
    const services = createTestServices();
    for (const name of ["r1", "r2"]) await ask(compile(limited(), services, name), { client: "192.0.2.77" });
    const [first = "", second = ""] = services.redis.calls;
    expect(first).toMatch(/^test:limit:r1:client:[A-Za-z0-9_-]{22}$/);
    expect(second).toMatch(/^test:limit:r2:client:/);
    expect(first).not.toContain("192.0.2.77");
  });

  it("lets requests pass while Redis is away, with a metric and one line", async () => {
    const services = createTestServices();
    const access = compile(limited(), services);
    services.redis.status = "reconnecting";
    for (let i = 0; i < 10; i += 1) {
      const told = askAtOnce(access, { client: `192.0.2.${i}` });
      expect(told?.refusal).toBeNull();
      expect(told?.grant).toBeNull();
    }
    expect(await services.metric("evenkeel_gateway_rate_limit_unavailable_total")).toBe(10);
    expect(services.logged).toHaveLength(1);
  });
});
