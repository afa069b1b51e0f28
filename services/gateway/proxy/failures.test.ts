import { constants } from "node:http2";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  documentFor,
  eventually,
  onRequestHead,
  send,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { h2c, ok } from "../upstream/test-support/http2-backend.ts";

const healthy = () =>
  startBackend((request, response) => void request.resume().on("end", () => response.end("ok")));

/** Counts requests and resets each connection once the header section is there. */
async function resetting() {
  let requests = 0;
  const origin = await startRawBackend((socket) =>
    onRequestHead(socket, () => {
      requests += 1;
      socket.resetAndDestroy();
    }),
  );
  return { origin, requests: () => requests };
}

const silent = () => startRawBackend((socket) => onRequestHead(socket, () => {}));
const timeouts = { responseHeadersMs: 100, idleMs: 100 };
const route = { name: "all", match: {}, proxy: "dynamic" as const, pool: "p" };

describe("retries", () => {
  it("even a POST that a backend of HTTP/2 says it has not processed is sent again", async () => {
    const bodies: string[] = [];
    const { url } = await h2c((stream) => {
      let body = "";
      stream.on("data", (chunk: Buffer) => {
        body += chunk;
      });
      stream.on("end", () => {
        bodies.push(body);
        if (bodies.length === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
        else ok(stream, {}, []);
      });
    });
    const pools = [{ name: "p", http: "2" as const, backends: [{ id: "b1", url }] }];
    const gateway = await startGateway([], { pools });
    expect(await send(gateway.url, { method: "POST", body: "x" })).toMatchObject({ status: 200, text: "ok" });
    expect(bodies).toEqual(["x", "x"]);
    expect(gateway.scheduling.released.map(({ outcome }) => outcome)).toEqual(["canceled", "success"]);
  });

  it.each(["GET", "POST"])("%s that a backend refuses goes to another one", async (method) => {
    const { url, scheduling, metric } = await startGateway([await closedOrigin(), await healthy()]);
    expect(await send(url, { method, body: method === "POST" ? "x" : "" })).toMatchObject({
      status: 200,
      text: "ok",
    });
    expect(scheduling.released).toMatchObject([
      { backend: "b1", outcome: "failure", ttfbMs: null },
      { backend: "b2", outcome: "success", ttfbMs: expect.any(Number) },
    ]);
    expect(await metric("evenkeel_gateway_retries_total", { pool: "p" })).toBe(1);
  });

  it("a streamed POST that a backend refuses goes to another one whole", async () => {
    let received = 0;
    const counting = await startBackend((incoming, response) => {
      incoming.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      incoming.on("end", () => response.end("ok"));
    });
    const { url } = await startGateway([await closedOrigin(), counting]);
    const answer = await send(url, { method: "POST", body: Buffer.alloc(3_000_000, "x") });
    expect(answer).toMatchObject({ status: 200, headers: { "x-evenkeel-backend": "b2" } });
    expect(received).toBe(3_000_000);
  });

  it("POST that was sent and then reset is answered 502 and not repeated", async () => {
    const reset = await resetting();
    const { url, scheduling } = await startGateway([reset.origin, await healthy()]);
    const answer = await send(url, { method: "POST", body: "x" });
    expect(answer).toMatchObject({ status: 502, headers: { "x-evenkeel-backend": "b1" } });
    expect(reset.requests()).toBe(1);
    expect(scheduling.picked).toEqual(["b1"]);
    expect(scheduling.released).toMatchObject([{ backend: "b1", outcome: "failure" }]);
  });

  it.each(["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])(
    "%s that was reset goes to another backend",
    async (method) => {
      const reset = await resetting();
      const { url, scheduling } = await startGateway([reset.origin, await healthy()]);
      expect(await send(url, { method, body: method === "PUT" ? "x" : "" })).toMatchObject({ status: 200 });
      expect(reset.requests()).toBe(1);
      expect(scheduling.picked).toEqual(["b1", "b2"]);
    },
  );

  it("PUT with a body too large to keep is not repeated once it was sent", async () => {
    const reset = await resetting();
    const { url, scheduling } = await startGateway([reset.origin, await healthy()]);
    const client = sendRaw(
      Number(new URL(url).port),
      "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc",
    );
    await eventually(() => client.received().includes("HTTP/1.1 502"), "the answer");
    expect(scheduling.picked).toEqual(["b1"]);
  });

  it("end after three, with the last failure and every pick released", async () => {
    const origins = await Promise.all(Array.from({ length: 6 }, closedOrigin));
    const { url, scheduling } = await startGateway(origins);
    expect(await send(url)).toMatchObject({ status: 502, headers: { "x-evenkeel-backend": "b4" } });
    expect(scheduling.picked).toEqual(["b1", "b2", "b3", "b4"]);
    expect(scheduling.held()).toBe(0);
  });

  it("end when no further backend may take the request, with the failure and not with 503", async () => {
    const { url, scheduling } = await startGateway([await closedOrigin()]);
    expect(await send(url)).toMatchObject({ status: 502, text: expect.stringContaining("refused") });
    expect(scheduling.picked).toEqual(["b1"]);
  });

  it("end when the budget is spent", async () => {
    const dead = await Promise.all(Array.from({ length: 5 }, closedOrigin));
    const frozen = { clock: () => 0 };
    const { url, scheduling, metric } = await startGateway([...dead, await healthy()], {}, frozen);
    for (let i = 0; i < 60; i += 1) expect((await send(url)).status).toBe(502);
    // 100 at rest and 20 % of 60 requests, where three each were wanted.
    const retries = await metric("evenkeel_gateway_retries_total", { pool: "p" });
    expect(retries).toBeGreaterThanOrEqual(111);
    expect(retries).toBeLessThanOrEqual(112);
    expect(await metric("evenkeel_gateway_retry_budget_exhausted_total", { pool: "p" })).toBeGreaterThan(20);
    expect(scheduling.held()).toBe(0);
  });

  it.each([500, 502, 503, 504])(
    "are never caused by an answer: %i is passed on unchanged",
    async (status) => {
      const origin = await startBackend((_, response) =>
        response.writeHead(status, { "x-own": "1" }).end("own words"),
      );
      const { url, scheduling } = await startGateway([origin, await healthy()]);
      expect(await send(url)).toMatchObject({ status, text: "own words", headers: { "x-own": "1" } });
      expect(scheduling.released).toMatchObject([
        { backend: "b1", outcome: status === 500 ? "success" : "failure" },
      ]);
    },
  );

  it("a static route stays with its backend", async () => {
    const { url, scheduling } = await startGateway([await closedOrigin(), await healthy()], {
      routes: [{ name: "bound", match: {}, proxy: "static", pool: "p", backend: "b1" }],
    });
    expect((await send(url)).status).toBe(502);
    expect(scheduling.picked).toEqual(["b1"]);
    expect(scheduling.held()).toBe(0);
  });
});

describe("the bound of requests open to one backend", () => {
  const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  const maxConnections = 8;
  const bounded = (origins: string[]) =>
    startGateway(origins, { pools: documentFor(origins).pools.map((pool) => ({ ...pool, maxConnections })) });

  it("sends what is past it to another backend, holding it against none", async () => {
    const { port, scheduling } = await bounded([await silent(), await healthy()]);
    const clients = Array.from({ length: maxConnections + 1 }, () => sendRaw(port, get));
    await eventually(() => scheduling.released.length === 2, "the request past the bound");
    expect(scheduling.released).toMatchObject([
      { backend: "b1", outcome: "canceled" },
      { backend: "b2", outcome: "success" },
    ]);
    for (const { socket } of clients) socket.destroy();
    await eventually(() => scheduling.held() === 0, "the release of all");
  });

  it("counts only what is open: an ended request makes room", async () => {
    const { port, scheduling } = await bounded([await healthy()]);
    const client = sendRaw(port, "");
    const perRound = 4;
    const rounds = maxConnections / perRound + 1;
    for (let round = 1; round <= rounds; round += 1) {
      client.socket.write(get.repeat(perRound));
      await eventually(() => scheduling.released.length === round * perRound, "a round of answers");
    }
    expect(scheduling.released.every(({ outcome }) => outcome === "success")).toBe(true);
  });
});

describe("answers of the gateway itself", () => {
  it("404 without a route, counted and logged without one", async () => {
    const { url, metric, logged } = await startGateway([await healthy()], {
      routes: [{ ...route, match: { path: "/only" } }],
    });
    const answer = await send(url, { path: "/other" });
    expect(answer).toMatchObject({
      status: 404,
      text: "404 Not Found: no route leads to this host and path\n",
    });
    expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(await metric("evenkeel_gateway_requests_total", { route: "none", code_class: "4xx" })).toBe(1);
    expect(logged).toMatchObject([{ route: null, pool: null, backend: null, status: 404, attempts: 0 }]);
  });

  it("404 to an upload leaves its connection usable", async () => {
    const { port } = await startGateway([await healthy()], {
      routes: [{ ...route, match: { path: "/only" } }],
    });
    const client = sendRaw(port, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    await eventually(() => client.received().includes("404 Not Found"), "the first answer");
    client.socket.write("defGET /only HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(
      () => client.received().endsWith("ok\r\n0\r\n\r\n") || client.received().endsWith("ok"),
      "the second",
    );
  });

  it.each(["dynamic", "static"] as const)(
    "503 when no backend may take a request of a %s route",
    async (proxy) => {
      const { url } = await startGateway([], {
        routes: [{ ...route, proxy, ...(proxy === "static" ? { backend: "gone" } : {}) }],
      });
      const answer = await send(url);
      expect(answer).toMatchObject({
        status: 503,
        text: "503 Service Unavailable: no backend is available\n",
      });
      expect(answer.headers).not.toHaveProperty("x-evenkeel-backend");
    },
  );

  it("504 when the header section does not come in time", async () => {
    const { url, scheduling } = await startGateway([await silent()], { routes: [{ ...route, timeouts }] });
    expect(await send(url)).toMatchObject({ status: 504, text: expect.stringContaining("in time") });
    expect(scheduling.released).toMatchObject([{ outcome: "failure", ttfbMs: null }]);
  });

  it("504 also when interim answers keep coming: they do not put off the end of the wait", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => {
        const interim = setInterval(() => socket.write("HTTP/1.1 103 Early Hints\r\n\r\n"), 20);
        socket.on("close", () => clearInterval(interim));
      }),
    );
    const { url, scheduling } = await startGateway([origin], { routes: [{ ...route, timeouts }] });
    expect(await send(url)).toMatchObject({ status: 504, text: expect.stringContaining("in time") });
    expect(scheduling.released).toMatchObject([{ outcome: "failure", ttfbMs: null }]);
  });

  it("502 for an answer that is not HTTP", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => socket.end("hello\r\n\r\n")),
    );
    const { url } = await startGateway([origin]);
    expect(await send(url)).toMatchObject({ status: 502, text: expect.stringContaining("not valid HTTP") });
  });

  it("502 for a backend that closes without an answer", async () => {
    const origin = await startRawBackend((socket) => onRequestHead(socket, () => socket.end()));
    const { url } = await startGateway([origin]);
    expect((await send(url)).status).toBe(502);
  });

  it.each([
    ["GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n", "a dot segment"],
    ["GET /a/%2e%2E/b HTTP/1.1\r\nHost: h\r\n\r\n", "an encoded dot segment"],
    ["GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", "an encoded slash"],
    ["GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", "a backslash"],
    ["GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "a fragment"],
    ["GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", "another authority"],
    ["OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "no path"],
    ["GET / HTTP/1.1\r\n\r\n", "no Host"],
    ["GET / HTTP/1.0\r\n\r\n", "no Host in HTTP/1.0"],
    ["GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "two Hosts"],
    ["POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunks in HTTP/1.0"],
    [
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "two framings",
    ],
    ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "two lengths"],
    ["GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", "a control character"],
  ])("400 to %j: %s", async (text) => {
    const { port, scheduling } = await startGateway([await healthy()]);
    const client = sendRaw(port, text);
    await eventually(() => client.received().startsWith("HTTP/1.1 400 Bad Request\r\n"), "the refusal");
    expect(scheduling.picked).toEqual([]);
  });

  it("501 to a second transfer coding: it is not ours to take off", async () => {
    const { port, scheduling } = await startGateway([await healthy()]);
    const client = sendRaw(
      port,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    );
    await eventually(() => client.received().startsWith("HTTP/1.1 501 "), "the refusal");
    expect(scheduling.picked).toEqual([]);
  });

  it("an absolute target of its own Host is forwarded as a path", async () => {
    let seen = "";
    const origin = await startBackend((request, response) => {
      seen = `${request.headers.host} ${request.url}`;
      response.end();
    });
    const { port } = await startGateway([origin]);
    const client = sendRaw(port, "GET http://shop.example/a?b HTTP/1.1\r\nHost: Shop.example\r\n\r\n");
    await eventually(() => client.received().includes("200 OK"), "the answer");
    expect(seen).toBe("Shop.example /a?b");
  });
});

describe("an answer that breaks off", () => {
  it.each([
    ["by length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", "HTTP/1.1"],
    ["by chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", "HTTP/1.1"],
    [
      "by chunks, to HTTP/1.0",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
      "HTTP/1.0",
    ],
  ])("%s breaks the client's connection", async (_, text, version) => {
    let backendSide: Socket | null = null;
    const origin = await startRawBackend((socket) => {
      backendSide = socket;
      onRequestHead(socket, () => socket.write(text));
    });
    const { port, scheduling, logged } = await startGateway([origin, await healthy()]);
    const client = sendRaw(port, `GET / ${version}\r\nHost: h\r\n\r\n`);
    let error: NodeJS.ErrnoException | null = null;
    client.socket.on("error", (reason) => {
      error = reason;
    });
    await eventually(() => client.received().includes("part"), "the part");
    (backendSide as unknown as Socket).destroy();
    await eventually(client.closed, "the client's connection to end");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    expect(client.received()).not.toContain("\r\n0\r\n");
    expect(scheduling.picked).toEqual(["b1"]);
    expect(scheduling.released).toMatchObject([{ outcome: "failure", ttfbMs: expect.any(Number) }]);
    expect(logged).toMatchObject([{ status: 200, reason: expect.stringContaining("broke off") }]);
  });

  it("by a silence longer than the route allows breaks the client's connection", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")),
    );
    const { url, scheduling } = await startGateway([origin], { routes: [{ ...route, timeouts }] });
    await expect(send(url)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });
});
