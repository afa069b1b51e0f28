import { hash } from "node:crypto";
import type { ConfigDocument, RouteDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { describe, expect, it } from "vitest";
import { createAccessServices } from "../access/services.ts";
import { eventually, send, sendRaw, startBackend, startGateway } from "../test-support/data-path.ts";
import { startRecorder } from "../test-support/recorder.ts";

type AccessRules = NonNullable<RouteDocument["access"]>;

const KEY = "a key that only its owner knows";
const apiKeys = { keys: [{ name: "shop", sha256: hash("sha256", KEY) }] };

/** A gateway before a backend that notes what it gets. */
async function guarded(
  access: AccessRules,
  rules: Partial<RouteDocument> = {},
  config: Partial<ConfigDocument> = {},
  options: Parameters<typeof startGateway>[2] = {},
) {
  const recorder = await startRecorder();
  const answers = rules.redirect !== undefined || rules.respond !== undefined;
  const served = answers ? {} : { proxy: "dynamic" as const, pool: "p" };
  const routes: RouteDocument[] = [{ name: "all", match: {}, ...served, access, ...rules }];
  const gateway = await startGateway([recorder.origin], { routes, ...config }, options);
  const told = (name: string) => recorder.seen.at(-1)?.fields.filter((field) => field.startsWith(`${name}:`));
  return { ...gateway, ...recorder, told };
}

/** A service that says who may; by default with these fields. */
const startAuth = (
  answer: (path: string) => { status: number; headers?: Record<string, string>; body?: string },
) =>
  startBackend((request, response) => {
    const { status, headers = {}, body = "" } = answer(request.headers["x-forwarded-uri"] as string);
    response.writeHead(status, headers).end(body);
  });

describe("a route with api keys", () => {
  it("refuses who has none or a wrong one, and asks for no backend", async () => {
    const { url, scheduling, seen, logged } = await guarded({ apiKeys });
    for (const headers of [{}, { "x-api-key": "guessed" }]) {
      const answer = await send(url, { headers });
      expect(answer).toMatchObject({ status: 401, text: expect.stringContaining("API key") });
      expect(answer.headers["www-authenticate"]).toContain("ApiKey");
    }
    expect([scheduling.wanted, seen]).toEqual([[], []]);
    expect(logged).toMatchObject([{ route: "all", status: 401, attempts: 0 }, { status: 401 }]);
  });

  it("lets in who has one, tells the backend who that is, and keeps the key", async () => {
    const { url, bytes, told } = await guarded({ apiKeys, consumerHeader: "x-consumer" });
    expect((await send(url, { headers: { "X-Api-Key": KEY } })).status).toBe(200);
    expect(bytes()).not.toContain(KEY);
    expect(told("x-consumer")).toEqual(["x-consumer: shop"]);
  });

  it("passes nothing on that a client says under the names of what is granted, not even as a trailer", async () => {
    const { port, bytes, seen, told } = await guarded({ apiKeys, consumerHeader: "x-consumer" });
    sendRaw(
      port,
      `POST / HTTP/1.1\r\nHost: h\r\nX-Api-Key: ${KEY}\r\nX-Consumer: admin\r\n` +
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Consumer: admin\r\nX_Consumer: admin\r\nX-Api-Key: admin\r\n\r\n",
    );
    await eventually(() => seen[0]?.complete === true, "the request");
    expect(bytes()).not.toContain("admin");
    expect([told("x-consumer"), seen[0]?.trailers]).toEqual([["x-consumer: shop"], []]);
  });

  it("refuses an upload without reading it, and its connection goes on with what follows", async () => {
    const { port, scheduling } = await guarded({ apiKeys });
    const client = sendRaw(port, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    await eventually(() => client.received().startsWith("HTTP/1.1 401 "), "the refusal");
    client.socket.write(`defGET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: ${KEY}\r\n\r\n`);
    await eventually(() => client.received().endsWith("GET / HTTP/1.1"), "the answer to the next");
    expect(scheduling.picked).toEqual(["b1"]);
  });
});

describe("a route that another service decides about", () => {
  it("passes that service's refusal on as it is", async () => {
    const auth = await startAuth(() => ({
      status: 403,
      headers: { "content-type": "application/json", "set-cookie": "s=1", "x-inside": "1" },
      body: '{"why":"not you"}',
    }));
    const { url, scheduling } = await guarded({ forwardAuth: { url: auth } });
    const answer = await send(url);
    expect(answer).toMatchObject({
      status: 403,
      text: '{"why":"not you"}',
      headers: { "content-type": "application/json", "set-cookie": ["s=1"], "content-length": "17" },
    });
    expect(answer.headers).not.toHaveProperty("x-inside");
    expect(await send(url, { method: "HEAD" })).toMatchObject({ status: 403, text: "" });
    expect(scheduling.wanted).toEqual([]);
  });

  it("tells the backend what the service says, in place of what the client says", async () => {
    const auth = await startAuth(() => ({ status: 200, headers: { "x-user": "alice" } }));
    const { url, told } = await guarded({ forwardAuth: { url: auth, responseHeaders: ["X-User"] } });
    await send(url, { headers: { "x-user": "root" } });
    expect(told("x-user")).toEqual(["x-user: alice"]);
  });

  it("asks about the path as the client has sent it, and about bodies before they are read", async () => {
    const auth = await startAuth((path) => ({ status: path === "/api/a?b" ? 200 : 403 }));
    const { url } = await guarded({ forwardAuth: { url: auth } }, { rewrite: { stripPrefix: "/api" } });
    const body = "x".repeat(100_000);
    expect(await send(url, { method: "POST", path: "/api/a?b", body })).toMatchObject({
      status: 200,
      text: "POST /a?b HTTP/1.1",
    });
    expect((await send(url, { path: "/a?b" })).status).toBe(403);
  });

  it("a client that leaves before the service has decided is served no more", async () => {
    let decide = () => {};
    const auth = await startBackend((_, response) => {
      decide = () => void response.end();
    });
    const { port, scheduling, logged } = await guarded({ forwardAuth: { url: auth } });
    const before = decide;
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => decide !== before, "the question");
    client.socket.resetAndDestroy();
    await eventually(() => logged.length === 1, "the end of the request");
    decide();
    expect(logged).toMatchObject([{ status: 499 }]);
    expect(scheduling.picked).toEqual([]);
  });
});

describe("what a check grants to the answer", () => {
  /** A limit of which Redis says that seven more may come within the next second. */
  const counting = () =>
    createAccessServices({
      redis: { status: "ready", fcall: async () => [7, 1_000_000] } as unknown as Redis,
      prefix: "test",
      metrics: createMetrics(),
      log: createLog("silent", { role: "gateway", id: "test" }),
      clock: () => performance.now(),
      now: Date.now,
    });

  it.each<[string, Partial<RouteDocument>, number]>([
    ["an answer of the backend", {}, 200],
    ["a redirect", { redirect: { path: "/new" } }, 302],
    ["a fixed answer", { respond: { status: 418, body: "tea" } }, 418],
    ["a refusal of this gateway", { pool: "empty" }, 503],
  ])("is in %s, each time anew", async (_, rules, status) => {
    const limited = { rateLimit: { requests: 10 }, ...rules };
    const pools = rules.pool === "empty" ? { pools: [{ name: "empty", backends: [] }] } : {};
    const { url } = await guarded({}, limited, pools, { access: counting() });
    for (let i = 0; i < 2; i += 1) {
      expect(await send(url)).toMatchObject({ status, headers: { ratelimit: '"client";r=7;t=1' } });
    }
  });
});

describe("a route for some addresses", () => {
  const deny = { deny: ["203.0.113.0/24"] };
  const from = (address: string) => ({ headers: { "x-forwarded-for": address } });

  it("looks at the client behind trusted proxies", async () => {
    const { url } = await guarded(deny, {}, { trustedProxies: ["127.0.0.1/32"] });
    expect((await send(url, from("203.0.113.7"))).status).toBe(403);
    expect((await send(url, from("198.51.100.7"))).status).toBe(200);
    expect((await send(url, from("203.0.113.7, 198.51.100.7"))).status).toBe(200);
  });

  it("does not believe anybody else", async () => {
    const { url } = await guarded({ deny: ["127.0.0.0/8"] });
    expect((await send(url, from("198.51.100.7"))).status).toBe(403);
  });

  it.each<[string, Partial<RouteDocument>]>([
    ["redirects", { redirect: { path: "/new" } }],
    ["answers by itself", { respond: { status: 200, body: "secret" } }],
  ])("refuses first where it %s", async (_, rules) => {
    const { url } = await guarded({ deny: ["127.0.0.0/8"] }, rules);
    const answer = await send(url);
    expect([answer.status, answer.headers.location, answer.text.includes("secret")]).toEqual([
      403,
      undefined,
      false,
    ]);
  });
});
