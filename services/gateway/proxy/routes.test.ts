import type { ConfigDocument, RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  documentFor,
  eventually,
  send,
  sendRaw,
  startBackend,
  startGateway,
  type TestGateway,
} from "../test-support/data-path.ts";
import { type Recorder, startRecorder } from "../test-support/recorder.ts";

type Rules = Partial<RouteDocument>;

const routeWith = (rules: Rules, name = "all"): RouteDocument => ({ name, match: {}, ...rules });
const proxied = (rules: Rules, name = "all"): RouteDocument =>
  routeWith({ proxy: "dynamic", pool: "p", ...rules }, name);

/** A gateway before a backend that notes what it gets. */
async function gatewayWith(
  rules: Rules,
  others: RouteDocument[] = [],
): Promise<TestGateway & { recorder: Recorder }> {
  const recorder = await startRecorder();
  const gateway = await startGateway([recorder.origin], { routes: [proxied(rules), ...others] });
  return { ...gateway, recorder };
}

describe("a route that answers by itself", () => {
  it("redirects, and asks no backend", async () => {
    const { url, scheduling, logged } = await startGateway([], {
      routes: [routeWith({ redirect: { scheme: "https", status: 308 } })],
    });
    const answer = await send(url, { path: "/a?b=1", headers: { host: "shop.example:8080" } });
    expect(answer).toMatchObject({
      status: 308,
      text: "",
      headers: { location: "https://shop.example/a?b=1", "content-length": "0" },
    });
    expect(scheduling.wanted).toEqual([]);
    expect(logged).toMatchObject([{ route: "all", pool: null, status: 308, attempts: 0, reason: null }]);
  });

  it("gives its fixed answer, to HEAD without the body but with its length", async () => {
    const respond = { status: 503, body: "closed for now", contentType: "text/html" };
    const headers = { response: { set: { "retry-after": "60" } } };
    const { url, port } = await startGateway([], { routes: [routeWith({ respond, headers })] });
    const told = { "content-type": "text/html", "content-length": "14", "retry-after": "60" };
    expect(await send(url)).toMatchObject({ status: 503, text: "closed for now", headers: told });
    expect(await send(url, { method: "HEAD" })).toMatchObject({ status: 503, text: "", headers: told });
    const client = sendRaw(port, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().endsWith("closed for now"), "both answers on one connection");
    expect(client.received().match(/closed for now/g)).toHaveLength(1);
  });
});

describe("a rewritten request", () => {
  it.each<[NonNullable<RouteDocument["rewrite"]>, string, string]>([
    [{ stripPrefix: "/api" }, "/api/a?b=1", "/a?b=1"],
    [{ stripPrefix: "/api" }, "/apis/a", "/apis/a"],
    [{ stripPrefix: "/api" }, "/api", "/"],
    [{ addPrefix: "/v2" }, "/a?b", "/v2/a?b"],
    [{ stripPrefix: "/api", addPrefix: "/v2" }, "/api/a", "/v2/a"],
    [{ path: "/index.html" }, "/a/b?c=1", "/index.html?c=1"],
    [{ regex: { pattern: "^/u/([0-9]+)/", substitution: "/users/$1/" } }, "/u/7/x?y", "/users/7/x?y"],
  ])("with %j of %s asks for %s", async (rewrite, path, expected) => {
    const { url, recorder } = await gatewayWith({ rewrite });
    expect((await send(url, { path })).text).toBe(`GET ${expected} HTTP/1.1`);
    expect(recorder.faults).toEqual([]);
  });

  it("that cannot be is answered 400 and asks no backend", async () => {
    const { url, scheduling } = await gatewayWith({ rewrite: { stripPrefix: "/api" } });
    const answer = await send(url, { path: "/api//evil.example/x" });
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("cannot be rewritten") });
    expect([scheduling.wanted, scheduling.picked]).toEqual([[], []]);
  });

  it("has the host of the route, and tells the backend which one the client has named", async () => {
    const { url, recorder } = await gatewayWith({ rewrite: { host: "inside.example:81" } });
    await send(url, { headers: { host: "shop.example" } });
    const { fields } = recorder.seen[0] as Recorder["seen"][number];
    expect(fields.filter((field) => field.startsWith("host:"))).toEqual(["host: inside.example:81"]);
    expect(fields).toContain("x-forwarded-host: shop.example");
  });
});

describe("header rules", () => {
  it("change what the backend gets, also of what this gateway says itself", async () => {
    const { url, recorder } = await gatewayWith({
      headers: {
        request: {
          set: { "X-One": "set", "X-Forwarded-Proto": "https" },
          add: { "x-two": "added" },
          remove: ["x-three"],
        },
      },
    });
    await send(url, { headers: { "x-one": ["a", "b"], "x-two": "own", "x-three": "own" } });
    const told = recorder.seen[0]?.fields.filter((field) =>
      /^x-(one|two|three|forwarded-proto):/.test(field),
    );
    expect(told).toEqual(["x-two: own", "x-one: set", "x-forwarded-proto: https", "x-two: added"]);
  });

  it("change what the client gets", async () => {
    const origin = await startBackend((_, response) =>
      response.writeHead(200, { server: "inside", "x-one": "own", "x-two": "own" }).end("ok"),
    );
    const headers = {
      response: { set: { "X-One": "set" }, add: { "X-Two": "added" }, remove: ["server"] },
    };
    const { url } = await startGateway([origin], { routes: [proxied({ headers })] });
    const answer = await send(url);
    expect(answer.headers).toMatchObject({ "x-one": "set", "x-two": "own, added" });
    expect(answer.headers).not.toHaveProperty("server");
  });
});

describe("a split", () => {
  const named = (name: string) => startBackend((_, response) => void response.end(name));
  const sticky = { cookie: "version" };

  /** Half and half, drawn in this order. */
  async function splitting(split: Partial<NonNullable<RouteDocument["split"]>>, draws: number[]) {
    const pools = await Promise.all(
      ["old", "new"].map(async (name) => ({ name, backends: [{ id: name, url: await named(name) }] })),
    );
    const shares = [
      { pool: "old", weight: 75 },
      { pool: "new", weight: 25 },
    ];
    const routes = [routeWith({ proxy: "dynamic", split: { pools: shares, ...split } })];
    const random = () => draws.shift() ?? 0;
    return startGateway([], { pools, routes }, { random });
  }

  it("draws a pool for each request, by weight", async () => {
    const { url, logged } = await splitting({}, [0, 0.74, 0.76, 0.99]);
    const texts: string[] = [];
    for (let i = 0; i < 4; i += 1) texts.push((await send(url)).text);
    expect(texts).toEqual(["old", "old", "new", "new"]);
    expect(logged.map(({ pool }) => pool)).toEqual(texts);
  });

  it("that is sticky keeps a client with its pool, and says so only once", async () => {
    const { url } = await splitting({ sticky }, [0.9, 0, 0, 0]);
    const first = await send(url);
    const [cookie = ""] = first.headers["set-cookie"] ?? [];
    expect([first.text, cookie]).toEqual(["new", "version=new; Path=/; HttpOnly; SameSite=Lax"]);
    const second = await send(url, { headers: { cookie: "a=b; version=new" } });
    expect([second.text, second.headers["set-cookie"]]).toEqual(["new", undefined]);
    expect((await send(url)).text).toBe("old");
  });
});

describe("conditions", () => {
  const respond = (body: string) => ({ status: 200, body });
  const trusting: Partial<ConfigDocument> = { trustedProxies: ["127.0.0.1/32"] };

  it.each<[string, RouteDocument["match"], Parameters<typeof send>[1], Parameters<typeof send>[1]]>([
    ["by method", { methods: ["PUT"] }, { method: "PUT" }, { method: "GET" }],
    [
      "by header",
      { headers: { "X-Beta": "1" } },
      { headers: { "x-beta": "1" } },
      { headers: { "x-beta": "2" } },
    ],
    ["by query", { query: { v: "a b" } }, { path: "/x?v=a%20b" }, { path: "/x?w=a%20b" }],
    [
      "by client behind a trusted proxy",
      { clients: ["203.0.113.0/24"] },
      { headers: { "x-forwarded-for": "203.0.113.9" } },
      { headers: { "x-forwarded-for": "198.51.100.9" } },
    ],
  ])("%s send some requests another way", async (_, match, meant, other) => {
    const { url } = await startGateway([], {
      ...trusting,
      routes: [
        routeWith({ match, respond: respond("special") }, "special"),
        routeWith({ respond: respond("usual") }),
      ],
    });
    expect((await send(url, meant)).text).toBe("special");
    expect((await send(url, other)).text).toBe("usual");
  });

  it("by client do not believe a peer that is no trusted proxy", async () => {
    const { url } = await startGateway([], {
      routes: [
        routeWith({ match: { clients: ["203.0.113.0/24"] }, respond: respond("special") }, "special"),
        routeWith({ respond: respond("usual") }),
      ],
    });
    expect((await send(url, { headers: { "x-forwarded-for": "203.0.113.9" } })).text).toBe("usual");
  });
});

describe("mirrored requests", () => {
  async function mirroring(shadowOrigin: string, mirror: Rules["mirror"], rules: Rules = {}) {
    const recorder = await startRecorder();
    const pools = [
      ...documentFor([recorder.origin]).pools,
      { name: "shadow", backends: [{ id: "s1", url: shadowOrigin }] },
    ];
    const routes = [proxied({ ...(mirror && { mirror }), ...rules })];
    const gateway = await startGateway([], { pools, routes });
    return { ...gateway, recorder };
  }

  it("reach the shadow pool as they reach the first one, and the pick is released", async () => {
    const shadow = await startRecorder();
    const { url, scheduling, recorder } = await mirroring(
      shadow.origin,
      { pool: "shadow" },
      { rewrite: { addPrefix: "/v2", host: "inside" }, headers: { request: { set: { "x-mark": "1" } } } },
    );
    expect((await send(url, { method: "POST", path: "/a?b", body: "hello" })).text).toBe(
      "POST /v2/a?b HTTP/1.1",
    );
    await eventually(() => scheduling.released.length === 2, "the release of both");
    expect(shadow.seen).toEqual(recorder.seen);
    expect(shadow.seen[0]).toMatchObject({ body: "hello", complete: true });
    expect(scheduling.released).toEqual(
      expect.arrayContaining([expect.objectContaining({ backend: "s1", outcome: "success" })]),
    );
  });

  it.each([
    ["refuses connections", closedOrigin],
    ["answers 500", () => startBackend((_, response) => response.writeHead(500).end("no"))],
    [
      "cuts its answer",
      () =>
        startBackend((_, response) => {
          response.writeHead(200, { "content-length": 9 }).write("x", () => response.destroy());
        }),
    ],
  ])("do not reach the client where the shadow %s", async (_, start) => {
    const { url, scheduling, logged } = await mirroring(await start(), { pool: "shadow" });
    expect(await send(url)).toMatchObject({ status: 200, text: "GET / HTTP/1.1" });
    await eventually(() => scheduling.held() === 0, "the release of both");
    expect(logged).toMatchObject([{ pool: "p", status: 200, attempts: 1, reason: null }]);
  });

  it("are not waited for", async () => {
    let asked = 0;
    const silent = await startBackend(() => {
      asked += 1;
    });
    const { url, scheduling } = await mirroring(silent, { pool: "shadow" });
    for (let i = 0; i < 3; i += 1) expect((await send(url)).status).toBe(200);
    await eventually(() => asked === 3, "the copies");
    expect(scheduling.held()).toBe(3);
  });

  it.each([
    [1, [0, 1, 2]],
    [200, [0, 64, 200, 201]],
  ])("are those with a body of at most %i KiB where the route says so", async (most, sizes) => {
    const shadow = await startRecorder();
    const mirror = { pool: "shadow", maxBodyBytes: most * 1024 };
    const { url, scheduling, recorder } = await mirroring(shadow.origin, mirror);
    for (const kib of sizes) {
      const body = "x".repeat(kib * 1024);
      await send(url, { method: "POST", body, headers: { "content-length": String(body.length) } });
    }
    await eventually(() => scheduling.held() === 0, "the release of all");
    expect(recorder.seen.map(({ body }) => body.length / 1024)).toEqual(sizes);
    expect(shadow.seen.map(({ body }) => body.length / 1024)).toEqual(sizes.slice(0, -1));
  });
});
