import type { Socket } from "node:net";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  closedOrigin,
  eventually,
  onRequestHead,
  send,
  sendRaw,
  startBackend,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";
import { startRecorder } from "../test-support/recorder.ts";

const routes = (rules: Partial<RouteDocument>): RouteDocument[] => [
  { name: "all", match: {}, proxy: "dynamic", pool: "p", ...rules },
];
const POST = "POST / HTTP/1.1\r\nHost: h\r\n";

describe("a bound of bodies", () => {
  const bounded = { routes: routes({ maxBodyBytes: 100_000 }) };

  it("refuses what says that it is larger at once, and asks nobody", async () => {
    const { port, scheduling, logged } = await startGateway([await closedOrigin()], bounded);
    const client = sendRaw(port, `${POST}Content-Length: 100001\r\n\r\n`);
    await eventually(() => client.received().includes("larger than this route takes"), "the refusal");
    expect(client.received()).toMatch(/^HTTP\/1\.1 413 /);
    expect([scheduling.wanted, scheduling.picked]).toEqual([[], []]);
    expect(logged).toMatchObject([{ route: "all", status: 413, attempts: 0 }]);
  });

  it("lets through what is as large as it may be, declared or in chunks", async () => {
    const { origin, seen } = await startRecorder();
    const { url } = await startGateway([origin], bounded);
    const body = "x".repeat(100_000);
    for (const headers of [{ "content-length": "100000" }, { "transfer-encoding": "chunked" }]) {
      expect((await send(url, { method: "POST", body, headers })).status).toBe(200);
    }
    expect(seen.map(({ body }) => body.length)).toEqual([100_000, 100_000]);
  });

  it("refuses chunks once they pass it, gives the backend up, and takes no rest of it for a request", async () => {
    let backendClosed = false;
    let received = 0;
    const origin = await startRawBackend((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
      socket.on("close", () => {
        backendClosed = true;
      });
    });
    const { port, scheduling } = await startGateway([origin], bounded);
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const client = sendRaw(port, `${POST}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
    await eventually(() => received > 65_536, "the first chunk at the backend");
    client.socket.write(chunk);
    await eventually(() => client.received().includes("larger than this route takes"), "the refusal");
    expect(client.received()).toMatch(/^HTTP\/1\.1 413 /);
    await eventually(() => backendClosed, "the backend's connection to close");
    expect(received).toBeLessThan(101_000);
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    expect(scheduling.picked).toEqual(["b1"]);
    client.socket.write("5\r\nGET /\r\n");
    client.socket.write("zz\r\n");
    await eventually(client.closed, "the end of the connection");
    expect(client.received().match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it("cuts the answer off where that has begun", async () => {
    const origin = await startRawBackend((socket) =>
      onRequestHead(socket, () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")),
    );
    const { port, scheduling } = await startGateway([origin], bounded);
    const client = sendRaw(port, `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`);
    await eventually(() => client.received().endsWith("part"), "the part");
    client.socket.write(`20000\r\n${"x".repeat(131_072)}\r\n`);
    await eventually(client.closed, "the end of the connection");
    expect(client.received()).toMatch(/part$/);
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });
});

describe("a bound of the time of a request", () => {
  const hurried = { routes: routes({ timeouts: { requestMs: 60 } }) };

  it("answers 504 while there is no answer, whoever is waited for", async () => {
    let closed = 0;
    const silent = await startRawBackend((socket) => {
      socket.on("close", () => {
        closed += 1;
      });
      onRequestHead(socket, () => {});
    });
    const { url, port, scheduling } = await startGateway([silent], hurried);
    expect(await send(url)).toMatchObject({
      status: 504,
      text: expect.stringContaining("longer than this route allows"),
    });
    await eventually(() => closed === 1, "the backend's connection to close");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    const slow = sendRaw(port, `${POST}Content-Length: 5\r\n\r\nab`);
    await eventually(() => slow.received().startsWith("HTTP/1.1 504 "), "the refusal of a slow upload");
    const decide = scheduling.hesitate();
    expect((await send(url)).status).toBe(504);
    decide();
    expect(scheduling.held()).toBe(0);
  });

  it("cuts an answer that has begun, so that nobody takes it for whole", async () => {
    const endless = await startRawBackend((socket) =>
      onRequestHead(socket, () => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const more = setInterval(() => socket.write("1\r\nx\r\n"), 10);
        socket.on("close", () => clearInterval(more));
      }),
    );
    const { url, scheduling, logged } = await startGateway([endless], hurried);
    await expect(send(url)).rejects.toMatchObject({ code: "ECONNRESET" });
    await eventually(() => scheduling.held() === 0, "the release");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    expect(logged).toMatchObject([{ status: 200, reason: expect.stringContaining("longer") }]);
  });

  it("does not outlive a request that was answered in time", async () => {
    const fast = await startBackend((request, response) => {
      if (request.url === "/") response.end("ok");
    });
    const { port, logged } = await startGateway([fast], hurried);
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes("ok"), "the first answer");
    client.socket.write("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().includes(" 504 "), "the end of the second");
    expect(logged.map(({ status }) => status)).toEqual([200, 504]);
  });
});

describe("the number of retries", () => {
  it.each([
    [0, ["b1"], 502],
    [1, ["b1", "b2"], 502],
    [2, ["b1", "b2", "b3"], 200],
  ])("of %i tries %j", async (retries, picked, status) => {
    const ok = await startBackend((_, response) => void response.end("ok"));
    const origins = [await closedOrigin(), await closedOrigin(), ok];
    const { url, scheduling } = await startGateway(origins, { routes: routes({ retries }) });
    expect((await send(url)).status).toBe(status);
    expect(scheduling.picked).toEqual(picked);
    expect(scheduling.held()).toBe(0);
  });
});

describe("connections that a backend closes while they are idle", () => {
  /** Answers the first request of each connection, and drops the connection when the next one comes. */
  async function dropping() {
    const heads: string[] = [];
    const sockets = new Set<Socket>();
    const origin = await startRawBackend((socket) => {
      let served = 0;
      sockets.add(socket);
      socket.on("data", (chunk) => {
        heads.push(chunk.toString("latin1").split(" ", 1)[0] as string);
        served += 1;
        if (served > 1) socket.resetAndDestroy();
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    return { origin, heads, sockets };
  }
  const bound = { proxy: "static", backend: "b1" } as const;

  it.each([
    ["dynamic", {}],
    ["dynamic, without retries", { retries: 0 }],
    ["static", bound],
    ["static, without retries", { ...bound, retries: 0 }],
  ])("do not show to a GET: it is repeated on a new one, on a route that is %s", async (_, rules) => {
    const { origin, heads } = await dropping();
    const { url, scheduling } = await startGateway([origin], { routes: routes(rules) });
    expect((await send(url)).text).toBe("ok");
    expect(await send(url)).toMatchObject({ status: 200, text: "ok" });
    expect(heads).toEqual(["GET", "GET", "GET"]);
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual(["success", "canceled", "success"]);
  });

  it.each([
    ["POST", "small", 5],
    ["POST", "streamed", 100_000],
    ["PUT", "streamed", 100_000],
  ])("do not meet a %s with a %s body", async (method, _, length) => {
    let passedMs = 0;
    const { origin, sockets } = await dropping();
    const silent = await startRawBackend((socket) => onRequestHead(socket, () => {}));
    const pools = [
      { name: "p", backends: [{ id: "b1", url: origin }] },
      { name: "silent", backends: [{ id: "s1", url: silent }] },
    ];
    const timeouts = { responseHeadersMs: 1 };
    const waiting: RouteDocument = {
      name: "w",
      match: { path: "/w" },
      proxy: "dynamic",
      pool: "silent",
      timeouts,
    };
    const { url } = await startGateway(
      [],
      { pools, routes: [...routes({}), waiting] },
      { clock: () => passedMs + performance.now() },
    );
    expect((await send(url)).text).toBe("ok");
    // All connections are looked at together: the idle one has been seen when this one has.
    expect((await send(url, { path: "/w" })).status).toBe(504);
    passedMs = 1_500;
    const headers = { "content-length": String(length) };
    expect((await send(url, { method, body: "x".repeat(length), headers })).status).toBe(200);
    expect(sockets.size).toBe(2);
  });

  it("are no reason to send a POST twice: one that was lost is answered 502", async () => {
    const { origin, heads } = await dropping();
    const { url } = await startGateway([origin]);
    expect((await send(url)).text).toBe("ok");
    expect((await send(url, { method: "POST", body: "x" })).status).toBe(502);
    expect(heads).toEqual(["GET", "POST"]);
  });
});
