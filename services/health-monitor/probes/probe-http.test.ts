import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach, describe, expect, it } from "vitest";
import { closeAll, http, listen, openConnections, refusedUrl, tcp } from "../test-support/servers.ts";
import { until } from "../test-support/until.ts";
import { prepareProbe } from "./probe.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 80;

afterEach(closeAll);

type Settings = Partial<NonNullable<PoolDocument["health"]>>;

/** By a pool of this one backend. */
async function probe(url: string, health: Settings = {}, tls: object = {}) {
  const pool = resolvePool({
    name: "shop",
    backends: [],
    tls,
    health: { protocol: "http", intervalMs: AMPLE_MS, timeoutMs: AMPLE_MS, ...health },
  });
  if (!pool.probing) throw new Error("the pool is probed");
  const { ok, reason } = await prepareProbe(url, pool.probing, pool.tls)();
  return { ok, reason };
}

const answering = (status: number, body = "") =>
  http((_request, response) => response.writeHead(status).end(body));

describe("an HTTP probe", () => {
  it.each([200, 204, 299, 304])("finds status %i good", async (status) => {
    expect(await probe(await answering(status))).toEqual({ ok: true, reason: `status ${status}` });
  });

  it.each([400, 404, 500, 503])("finds status %i bad", async (status) => {
    expect(await probe(await answering(status, "no"))).toEqual({ ok: false, reason: `status ${status}` });
  });

  it("finds good just what its pool expects", async () => {
    const expectStatus = ["401", "500-502"];
    for (const [status, ok] of [
      [200, false],
      [401, true],
      [499, false],
      [500, true],
      [502, true],
      [503, false],
    ] as const) {
      expect((await probe(await answering(status), { expectStatus })).ok, String(status)).toBe(ok);
    }
  });

  it("finds a redirect good and does not follow it", async () => {
    const paths: string[] = [];
    const url = await http((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(302, { location: "/elsewhere" }).end();
    });
    expect(await probe(url, { path: "/healthz" })).toEqual({ ok: true, reason: "status 302" });
    expect(paths).toEqual(["/healthz"]);
  });

  it("names the backend as host, itself as user agent, and asks for the connection to be closed", async () => {
    let seen: Record<string, unknown> = {};
    const url = await http((request, response) => {
      seen = { method: request.method, path: request.url, ...request.headers };
      response.end();
    });
    await probe(url, { path: "/healthz?deep=1" });
    expect(seen).toEqual({
      method: "GET",
      path: "/healthz?deep=1",
      host: url.replace("http://", ""),
      accept: "*/*",
      "user-agent": "evenkeel-health-monitor",
      connection: "close",
    });
  });

  it("asks by the method, for the host, with the headers and on the port of its pool", async () => {
    let seen: Record<string, unknown> = {};
    const url = await http((request, response) => {
      seen = { method: request.method, ...request.headers };
      response.end("ignored");
    });
    const headers = { Authorization: "Bearer x", "user-agent": "näher" };
    const settings: Settings = {
      method: "HEAD",
      host: "shop.example",
      headers,
      port: Number(new URL(url).port),
    };
    expect(await probe("http://127.0.0.1:1", settings)).toEqual({ ok: true, reason: "status 200" });
    expect(seen).toMatchObject({ method: "HEAD", host: "shop.example", authorization: "Bearer x" });
    expect(Buffer.from(String(seen["user-agent"]), "latin1").toString()).toBe("näher");
  });

  it("looks for the expected text, wherever it is within the first 16 KiB", async () => {
    const limit = 16 * 1024;
    const found = async (body: string) =>
      (await probe(await answering(200, body), { expectBody: "größer" })).ok;
    expect(await found("x größer x")).toBe(true);
    expect(await found("größer".padStart(limit - 2))).toBe(true);
    expect(await found("größer".padStart(limit + 1))).toBe(false);
    expect(await probe(await answering(200, "smaller"), { expectBody: "größer" })).toEqual({
      ok: false,
      reason: "body lacks the expected text",
    });
    expect(await probe(await answering(500, "größer"), { expectBody: "größer" })).toEqual({
      ok: false,
      reason: "status 500",
    });
  });

  it("finds the expected text though it comes in parts, and does not wait for the rest", async () => {
    const url = await http((_request, response) => {
      response.write("all is w");
      setImmediate(() => response.write("ell"));
    });
    expect(await probe(url, { expectBody: "all is well" })).toEqual({ ok: true, reason: "status 200" });
  });

  it("skips what comes before the answer", async () => {
    const url = await tcp((socket) =>
      socket.once("data", () =>
        socket.end(
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi",
        ),
      ),
    );
    expect(await probe(url, { expectBody: "hi" })).toEqual({ ok: true, reason: "status 200" });
  });

  it("uses a connection of its own every time, and leaves none behind", async () => {
    let connections = 0;
    const url = await tcp((socket) => {
      connections += 1;
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    await probe(url);
    await probe(url);
    expect(connections).toBe(2);
    await until("both are closed", () => openConnections() === 0);
  });

  it.each([
    ["a URL that is none", "not a url", {}],
    ["a path that cannot be sent", "http://127.0.0.1:1", { path: "/not sendable" }],
    ["a header that cannot be sent", "http://127.0.0.1:1", { headers: { a: "b\r\nc: d" } }],
  ])("answers instead of throwing for %s", async (_name, url, settings) => {
    expect((await probe(url, settings)).ok).toBe(false);
  });
});

describe("an HTTP probe of what is hostile", () => {
  const repeating = (first: string, again: string) =>
    tcp((socket) => {
      socket.write(first);
      const timer = setInterval(() => socket.write(again), SHORT_MS / 8);
      socket.on("close", () => clearInterval(timer));
    });
  const flooding = (first: string, again: string) =>
    tcp((socket) => {
      socket.write(first);
      const more = () => {
        while (!socket.destroyed && socket.write(again.repeat(100)));
      };
      socket.on("drain", more);
      more();
    });
  const saying = (text: string) =>
    tcp((socket: Socket) => socket.once("data", () => socket.end(Buffer.from(text, "latin1"))));

  it("finds a refused connection bad", async () => {
    expect(await probe(await refusedUrl())).toEqual({ ok: false, reason: "ECONNREFUSED" });
  });

  it("finds a reset bad", async () => {
    const url = await tcp((socket) => socket.on("data", () => socket.resetAndDestroy()));
    expect(await probe(url)).toEqual({ ok: false, reason: "ECONNRESET" });
  });

  it("finds a connection closed without a word bad", async () => {
    expect(await probe(await tcp((socket) => socket.end()))).toMatchObject({ ok: false });
  });

  it.each([
    ["SSH-2.0-whatever\r\n", "not HTTP"],
    ["HTTP/2.0 200 OK\r\n\r\n", "not HTTP"],
    ["HTTP/1.1 20 OK\r\n\r\n", "not HTTP"],
    ["HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\n", "malformed content-length"],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "malformed chunk"],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", "malformed chunk"],
    ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc", "ECONNRESET"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "ECONNRESET"],
    ["HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "status 101"],
  ])("says what is wrong with %j", async (answer, reason) => {
    expect(await probe(await saying(answer))).toEqual({ ok: false, reason });
  });

  it("gives up on headers without end at their limit", async () => {
    const url = await flooding("HTTP/1.1 200 OK\r\n", "x-more: 1\r\n");
    expect(await probe(url)).toEqual({ ok: false, reason: "headers too large" });
  });

  it("gives up on interim answers without end at their limit", async () => {
    const url = await flooding("", "HTTP/1.1 102 Processing\r\n\r\n");
    expect(await probe(url)).toEqual({ ok: false, reason: "headers too large" });
  });

  it("stops reading an endless body at its limit and closes the connection", async () => {
    const url = await flooding("HTTP/1.1 200 OK\r\n\r\n", "more and more");
    expect(await probe(url)).toEqual({ ok: true, reason: "status 200" });
    await until("it is closed", () => openConnections() === 0);
  });

  it.each([
    ["says nothing", () => tcp((socket) => socket.resume())],
    ["trickles headers", () => repeating("HTTP/1.1 200 OK\r\n", "x-more: 1\r\n")],
    ["trickles a body", () => repeating("HTTP/1.1 200 OK\r\n\r\n", ".")],
    [
      "trickles chunks",
      () => repeating("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\n.\r\n"),
    ],
  ])("times out on one that %s, and closes the connection", async (_what, start) => {
    expect(await probe(await start(), { timeoutMs: SHORT_MS })).toEqual({ ok: false, reason: "timeout" });
    await until("it is closed", () => openConnections() === 0);
  });
});

describe("an HTTP probe by TLS", () => {
  const file = (name: string) =>
    fileURLToPath(new URL(`../../gateway/test-support/certificates/${name}`, import.meta.url));
  const https = async (handler: RequestListener) => {
    const pair = { cert: readFileSync(file("a.pem")), key: readFileSync(file("a.key")) };
    return (await listen(createHttpsServer(pair, handler))).replace("http:", "https:");
  };
  const good = { ok: true, reason: "status 200" };

  it("verifies the backend as its pool says, and by the probe's own name if it has one", async () => {
    const url = await https((_request, response) => response.end("ok"));
    const ca = file("ca.pem");
    expect(await probe(url, {}, { ca })).toEqual(good);
    expect(await probe(url, {}, { ca, servername: "a.example" })).toEqual(good);
    expect(await probe(url, { servername: "a.example" }, { ca, servername: "b.example" })).toEqual(good);
    expect(await probe(url, {}, { verify: false })).toEqual(good);
    expect((await probe(url, { servername: "b.example" }, { ca })).ok).toBe(false);
    expect((await probe(url, {}, { ca, servername: "b.example" })).ok).toBe(false);
    expect((await probe(url, {}, { ca: file("other-ca.pem") })).ok).toBe(false);
    expect((await probe(url)).ok).toBe(false);
  });

  it("reads a body there too", async () => {
    const url = await https((_request, response) => {
      response.write("all is ");
      response.end("well");
    });
    expect(await probe(url, { expectBody: "all is well" }, { verify: false })).toEqual(good);
    expect((await probe(url, { expectBody: "all is bad" }, { verify: false })).ok).toBe(false);
  });

  it("says that a file cannot be read", async () => {
    const result = await probe("https://127.0.0.1:1", {}, { ca: "/nowhere" });
    expect(result).toEqual({ ok: false, reason: "ENOENT" });
  });

  it("times out on half a handshake, and closes the connection", async () => {
    const url = (
      await tcp((socket) => socket.once("data", () => socket.write(Buffer.from([22, 3, 3, 0, 80]))))
    ).replace("http:", "https:");
    expect(await probe(url, { timeoutMs: SHORT_MS })).toEqual({ ok: false, reason: "timeout" });
    await until("it is closed", () => openConnections() === 0);
  });

  it("finds garbage instead of a handshake bad", async () => {
    const url = (await tcp((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))).replace(
      "http:",
      "https:",
    );
    expect((await probe(url)).ok).toBe(false);
  });
});
