import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { afterEach, describe, expect, it } from "vitest";
import type { ProbeResult } from "./attempt.ts";
import { probeHttp } from "./probe-http.ts";
import { probeTcp } from "./probe-tcp.ts";

const AMPLE_MS = 5_000;
const SHORT_MS = 80;

const opened: { server: Server; sockets: Set<Socket> }[] = [];

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  opened.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const http = (handler: RequestListener) => listen(createHttpServer(handler));
const tcp = (onSocket: (socket: Socket) => void = () => {}) => listen(createServer(onSocket));

async function closeAll(): Promise<void> {
  for (const { server, sockets } of opened.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

afterEach(closeAll);

async function refusedUrl(): Promise<string> {
  const url = await tcp();
  await closeAll();
  return url;
}

const verdict = ({ ok, reason }: ProbeResult) => ({ ok, reason });
const get = async (url: string, path = "/", timeoutMs = AMPLE_MS) =>
  verdict(await probeHttp(url, path, timeoutMs));

describe("an HTTP probe", () => {
  it.each([200, 204, 299, 304])("finds status %i good", async (status) => {
    const url = await http((_request, response) => response.writeHead(status).end());
    expect(await get(url)).toEqual({ ok: true, reason: `status ${status}` });
  });

  it.each([400, 404, 500, 503])("finds status %i bad", async (status) => {
    const url = await http((_request, response) => response.writeHead(status).end("no"));
    expect(await get(url)).toEqual({ ok: false, reason: `status ${status}` });
  });

  it("finds a redirect good and does not follow it", async () => {
    const paths: string[] = [];
    const url = await http((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(302, { location: "/elsewhere" }).end();
    });
    expect(await get(url, "/healthz")).toEqual({ ok: true, reason: "status 302" });
    expect(paths).toEqual(["/healthz"]);
  });

  it("names the backend as host, itself as user agent, and asks for the connection to be closed", async () => {
    let seen: Record<string, unknown> = {};
    const url = await http((request, response) => {
      seen = { method: request.method, path: request.url, ...request.headers };
      response.end();
    });
    await get(url, "/healthz?deep=1");
    expect(seen).toMatchObject({
      method: "GET",
      path: "/healthz?deep=1",
      host: url.replace("http://", ""),
      "user-agent": "evenkeel-health-monitor",
      connection: "close",
    });
  });

  it("uses a connection of its own every time", async () => {
    let connections = 0;
    const server = createHttpServer((_request, response) => response.end("ok"));
    server.on("connection", () => {
      connections += 1;
    });
    const url = await listen(server);
    await get(url);
    await get(url);
    expect(connections).toBe(2);
  });

  it("finds a refused connection bad", async () => {
    expect(await get(await refusedUrl())).toEqual({ ok: false, reason: "ECONNREFUSED" });
  });

  it("finds a reset bad", async () => {
    const url = await tcp((socket) => socket.on("data", () => socket.resetAndDestroy()));
    expect(await get(url)).toEqual({ ok: false, reason: "ECONNRESET" });
  });

  it("finds bytes that are not HTTP bad", async () => {
    const url = await tcp((socket) => socket.end("SSH-2.0-whatever\r\n"));
    expect((await get(url)).ok).toBe(false);
  });

  it("times out on a listener that accepts and says nothing", async () => {
    expect(await get(await tcp(), "/", SHORT_MS)).toEqual({ ok: false, reason: "timeout" });
  });

  it("times out on headers that trickle", async () => {
    const url = await tcp((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const timer = setInterval(() => socket.write("x-more: 1\r\n"), SHORT_MS / 8);
      socket.on("close", () => clearInterval(timer));
    });
    expect(await get(url, "/", SHORT_MS)).toEqual({ ok: false, reason: "timeout" });
  });

  it("times out on a body that trickles, however good the status", async () => {
    const url = await http((_request, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("."), SHORT_MS / 8);
      response.on("close", () => clearInterval(timer));
    });
    expect(await get(url, "/", SHORT_MS)).toEqual({ ok: false, reason: "timeout" });
  });

  it("finds a body cut short bad", async () => {
    const url = await http((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => response.destroy());
    });
    expect((await get(url)).ok).toBe(false);
  });

  it("stops reading an endless body at its limit and closes the connection", async () => {
    let closed = () => {};
    const closing = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const url = await http((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(4_096))) {}
      };
      response.on("drain", more);
      response.on("close", closed);
      more();
    });
    expect(await get(url)).toEqual({ ok: true, reason: "status 200" });
    await closing;
  });

  it("closes the connection of a hanging backend when it gives up", async () => {
    let closed = () => {};
    const closing = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const url = await tcp((socket) => {
      socket.resume();
      socket.on("close", closed);
    });
    await get(url, "/", SHORT_MS);
    await closing;
  });

  it.each([
    ["a path that cannot be sent", "http://127.0.0.1:1", "/not sendable"],
    ["a URL that is none", "not a url", "/"],
  ])("answers instead of throwing for %s", async (_name, url, path) => {
    expect((await get(url, path)).ok).toBe(false);
  });
});

describe("an HTTP probe by TLS", () => {
  const file = (name: string) =>
    fileURLToPath(new URL(`../../gateway/test-support/certificates/${name}`, import.meta.url));
  const https = async (handler: RequestListener) => {
    const pair = { cert: readFileSync(file("a.pem")), key: readFileSync(file("a.key")) };
    return (await listen(createHttpsServer(pair, handler))).replace("http:", "https:");
  };
  const tlsOf = (tls: object) => resolvePool({ name: "p", backends: [], tls }).tls;
  const getBy = async (url: string, tls: object) => verdict(await probeHttp(url, "/", AMPLE_MS, tlsOf(tls)));
  const good = { ok: true, reason: "status 200" };

  it("verifies the backend as its pool says", async () => {
    const url = await https((_request, response) => response.end("ok"));
    expect(await getBy(url, { ca: file("ca.pem") })).toEqual(good);
    expect(await getBy(url, { ca: file("ca.pem"), servername: "a.example" })).toEqual(good);
    expect(await getBy(url, { verify: false })).toEqual(good);
    expect((await getBy(url, { ca: file("ca.pem"), servername: "b.example" })).ok).toBe(false);
    expect((await getBy(url, { ca: file("other-ca.pem") })).ok).toBe(false);
    expect((await getBy(url, {})).ok).toBe(false);
    expect((await get(url)).ok).toBe(false);
  });

  it("says that a file cannot be read", async () => {
    expect(await getBy("https://127.0.0.1:1", { ca: "/nowhere" })).toEqual({ ok: false, reason: "ENOENT" });
  });
});

describe("a TCP probe", () => {
  it("connects to where tcp:// points", async () => {
    const url = await tcp();
    expect((await probeTcp(url.replace("http:", "tcp:"), AMPLE_MS)).ok).toBe(true);
  });

  it("finds an accepted connection good, sends nothing and closes it", async () => {
    let received = 0;
    let closed = () => {};
    const closing = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const url = await tcp((socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
      socket.on("close", closed);
    });
    expect(verdict(await probeTcp(url, AMPLE_MS))).toEqual({ ok: true, reason: "connected" });
    await closing;
    expect(received).toBe(0);
  });

  it("finds a refused connection bad", async () => {
    const url = await refusedUrl();
    expect(verdict(await probeTcp(url, AMPLE_MS))).toEqual({ ok: false, reason: "ECONNREFUSED" });
  });

  it.each(["not a url", "http://127.0.0.1:99999"])("answers instead of throwing for %s", async (url) => {
    expect((await probeTcp(url, AMPLE_MS)).ok).toBe(false);
  });
});
