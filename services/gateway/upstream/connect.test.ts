import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { TLSSocket, TlsOptions } from "node:tls";
import { TLSSocket as ServerSideTls } from "node:tls";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { parseProxyHeader } from "../l4/proxy-protocol.ts";
import {
  answering,
  ask,
  certificate,
  eventually,
  listenOn,
  OK,
  onHead,
  start,
  startRaw,
  startRawTls,
  worldOf,
} from "./test-support/world.ts";

const pem = (file: string) => readFileSync(certificate(file));
const CA = certificate("ca.pem");
const SERVER: TlsOptions = { cert: pem("a.pem"), key: pem("a.key") };

const tlsBackend = (options: TlsOptions = {}, answer = OK) =>
  startRawTls({ ...SERVER, ...options }, (socket) => onHead(socket, () => socket.write(answer)));

describe("connecting in plain text", () => {
  it("to where nobody listens is refused", async () => {
    const server: Server = createServer();
    const port = await listenOn(server);
    await new Promise((resolve) => server.close(resolve));
    const { fault, outgoing, detail } = await ask(worldOf(`http://127.0.0.1:${port}`).origin);
    expect([fault, outgoing?.sent, detail]).toEqual(["refused", false, "ECONNREFUSED"]);
  });

  it("to a name that does not resolve is called so", async () => {
    const { fault, outgoing } = await ask(worldOf("http://no-such-host.invalid").origin);
    expect([fault, outgoing?.sent]).toEqual(["unresolved", false]);
  });

  it("by name works whatever the family of its addresses", async () => {
    const { port } = await answering(OK);
    expect((await ask(worldOf(`http://localhost:${port}`).origin)).text).toBe("ok");
  });

  it("is given up after its limit, and counted from its own beginning", async () => {
    // Accepts connections, but never what would make TLS of them.
    const silent = await startRaw((socket) => socket.resume());
    const url = silent.url.replace("http", "https");
    const { origin, pass, looked } = worldOf(url, { connectTimeoutMs: 3_000 });
    const receiver = start(origin);
    await looked();
    pass(2_000);
    await looked();
    expect(receiver.over).toBe(false);
    pass(1_100);
    await eventually(() => receiver.over, "the end");
    expect([receiver.fault, receiver.outgoing?.sent]).toEqual(["connect-timeout", false]);
    await eventually(() => silent.open() === 0, "the connection to be closed");
  });

  it("can be aborted", async () => {
    const backend = await startRaw((socket) => socket.resume());
    const receiver = start(worldOf(backend.url.replace("http", "https")).origin);
    await eventually(() => backend.sockets.length === 1, "the connection");
    receiver.outgoing?.abort();
    await eventually(() => backend.open() === 0, "the connection to be closed");
    expect(receiver.told).toEqual([]);
  });
});

describe("connecting by TLS", () => {
  it("verifies the backend, offers HTTP/1.1, and keeps the connection", async () => {
    const backend = await tlsBackend({ ALPNProtocols: ["http/1.1"] });
    const { origin } = worldOf(backend.url, { tls: { ca: CA } });
    for (let i = 0; i < 2; i += 1) expect((await ask(origin)).text).toBe("ok");
    expect(backend.sockets).toHaveLength(1);
    expect((backend.sockets[0] as TLSSocket).alpnProtocol).toBe("http/1.1");
  });

  it.each<[string, PoolDocument["tls"]]>([
    ["nobody who is known", undefined],
    ["another authority", { ca: certificate("other-ca.pem") }],
    ["the authority, but for another name", { ca: CA, servername: "b.example" }],
  ])("trusts no certificate signed by %s, and sends nothing", async (_, tls) => {
    const backend = await tlsBackend();
    const { origin } = worldOf(backend.url, tls ? { tls } : {});
    const { fault, outgoing } = await ask(origin);
    expect([fault, outgoing?.sent]).toEqual(["tls", false]);
  });

  it("names the host of the url in SNI, or what is set", async () => {
    const backend = await tlsBackend();
    await ask(worldOf(`https://localhost:${backend.port}`, { tls: { ca: CA } }).origin);
    await ask(worldOf(backend.url, { tls: { ca: CA, servername: "a.example" } }).origin);
    await ask(worldOf(backend.url, { tls: { ca: CA } }).origin);
    const names = backend.sockets.map((socket) => (socket as TLSSocket & { servername: unknown }).servername);
    expect(names).toEqual(["localhost", "a.example", false]);
  });

  it("takes any certificate where that is asked for", async () => {
    const backend = await tlsBackend();
    expect((await ask(worldOf(backend.url, { tls: { verify: false } }).origin)).text).toBe("ok");
  });

  it("shows the gateway's certificate to a backend that asks for one", async () => {
    const options = { requestCert: true, rejectUnauthorized: true, ca: pem("ca.pem") };
    const backend = await tlsBackend(options);
    const own = { cert: certificate("client.pem"), key: certificate("client.key") };
    expect((await ask(worldOf(backend.url, { tls: { ca: CA, ...own } }).origin)).text).toBe("ok");
    expect((await ask(worldOf(backend.url, { tls: { ca: CA } }).origin)).fault).toMatch(/^(tls|broken)$/);
  });

  it("agrees to no version before the least that is set", async () => {
    const backend = await tlsBackend({ maxVersion: "TLSv1.2" });
    expect((await ask(worldOf(backend.url, { tls: { ca: CA } }).origin)).text).toBe("ok");
    const strict = worldOf(backend.url, { tls: { ca: CA, minVersion: "1.3" } });
    expect((await ask(strict.origin)).fault).toBe("tls");
  });

  it("to a backend of plain text fails as TLS", async () => {
    const backend = await startRaw((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")),
    );
    const { fault } = await ask(worldOf(backend.url.replace("http", "https"), { tls: { ca: CA } }).origin);
    expect(fault).toBe("tls");
  });

  it("brings a large answer whole, and holds the backend back while it is not read", async () => {
    const body = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdef0");
    const backend = await startRawTls(SERVER, (socket) =>
      onHead(socket, () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        socket.write(body);
      }),
    );
    const receiver = start(worldOf(backend.url, { tls: { ca: CA } }).origin);
    receiver.onChunk = () => {
      receiver.outgoing?.pause();
      setImmediate(() => receiver.outgoing?.resume());
    };
    await eventually(() => receiver.over, "the end");
    expect(Buffer.concat(receiver.chunks).equals(body)).toBe(true);
  });

  it("does not take the end of the connection for that of the answer", async () => {
    const backend = await startRawTls(SERVER, (socket) =>
      onHead(socket, () => socket.end("HTTP/1.1 200 OK\r\n\r\nall, or not")),
    );
    const { told, fault } = await ask(worldOf(backend.url, { tls: { ca: CA } }).origin);
    expect(fault).toBe("broken");
    expect(told).not.toContain("end");
  });
});

describe("the PROXY protocol", () => {
  const client = { address: "192.0.2.7", port: 4711, destination: { address: "192.0.2.1", port: 80 } };
  const V1 = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n";

  it("goes ahead of the request, on a connection that is used once", async () => {
    const heads: string[] = [];
    const backend = await startRaw((socket) =>
      onHead(socket, (head) => {
        heads.push(head);
        socket.write(OK);
      }),
    );
    const { origin } = worldOf(backend.url, { sendProxyProtocol: "v1" });
    await ask(origin, { client });
    await eventually(() => backend.open() === 0, "the connection to be closed");
    await ask(origin, { client: { ...client, address: "192.0.2.8" } });
    await ask(origin);
    expect(heads.map((head) => head.slice(0, head.indexOf("GET")))).toEqual([
      V1,
      V1.replace("2.7", "2.8"),
      "PROXY UNKNOWN\r\n",
    ]);
  });

  it("has its version 2", async () => {
    let received = Buffer.alloc(0);
    const backend = await startRaw((socket) =>
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.includes("\r\n\r\n")) socket.write(OK);
      }),
    );
    await ask(worldOf(backend.url, { sendProxyProtocol: "v2" }).origin, { client });
    expect(parseProxyHeader(received)).toMatchObject({ state: "whole", source: client });
  });

  it("stands before TLS", async () => {
    let header = "";
    const server = createServer((socket: Socket) => {
      socket.once("data", (chunk: Buffer) => {
        header = chunk.subarray(0, V1.length).toString();
        socket.pause();
        socket.unshift(chunk.subarray(V1.length));
        const secure = new ServerSideTls(socket, { isServer: true, ...SERVER });
        onHead(secure, () => secure.write(OK));
      });
    });
    const port = await listenOn(server);
    const { origin } = worldOf(`https://127.0.0.1:${port}`, { sendProxyProtocol: "v1", tls: { ca: CA } });
    expect((await ask(origin, { client })).text).toBe("ok");
    expect(header).toBe(V1);
  });
});
