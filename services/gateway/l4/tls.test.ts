import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { connect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { describe, expect, it, vi } from "vitest";
import { createTlsContexts } from "../listeners/tls-contexts.ts";
import { proxyHeader } from "./proxy-protocol.ts";
import {
  eventually,
  type GatewayOptions,
  onCleanup,
  startClient,
  startEcho,
  startStreams,
  startTcpBackend,
} from "./test-support/streams.ts";

const directory = join(import.meta.dirname, "../test-support/certificates");
const fileOf = (name: string) => join(directory, name);
const ca = readFileSync(fileOf("ca.pem"));

/** Ends TLS and answers which server name it was asked for. */
async function startTlsBackend(answer: string): Promise<string> {
  const server = createTlsServer({ key: readFileSync(fileOf("a.key")), cert: readFileSync(fileOf("a.pem")) });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => {});
    socket.end(`${answer} ${socket.servername}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onCleanup(() => new Promise((resolve) => server.close(resolve)));
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Secured {
  socket: TLSSocket;
  received(): string;
  closed(): boolean;
  fault(): string | null;
}

function startTlsClient(port: number, options: { servername?: string; ALPNProtocols?: string[] }): Secured {
  const socket = connect({ port, host: "127.0.0.1", ca, checkServerIdentity: () => undefined, ...options });
  let received = "";
  let closed = false;
  let fault: string | null = null;
  socket.on("data", (chunk) => {
    received += chunk;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    fault = error.code ?? error.message;
  });
  socket.on("close", () => {
    closed = true;
  });
  onCleanup(() => socket.destroy());
  return { socket, received: () => received, closed: () => closed, fault: () => fault };
}

const bySni = (...names: (string | undefined)[]): GatewayOptions => ({
  listener: { protocol: "tls" },
  routes: names.map((sni, i) => ({
    proxy: "static",
    backend: `b${i + 1}`,
    match: sni === undefined ? {} : { sni },
  })),
});

describe("a tls listener", () => {
  it("passes TLS through to the backend of the server name", async () => {
    const urls = await Promise.all(["one", "two", "rest"].map(startTlsBackend));
    const { port, settled, report } = await startStreams(
      urls,
      bySni("a.example.com", "*.example.com", undefined),
    );
    for (const [servername, expected] of [
      ["a.example.com", "one a.example.com"],
      ["A.Example.Com", "one A.Example.Com"],
      ["b.example.com", "two b.example.com"],
      ["other.test", "rest other.test"],
    ] as const) {
      const client = startTlsClient(port, { servername });
      await eventually(client.closed, "the connection to close");
      expect([client.received(), client.fault()]).toEqual([expected, null]);
    }
    await settled();
    expect(report.finishes.map(({ result }) => result)).toEqual(["ended", "ended", "ended", "ended"]);
  });

  it("reads a ClientHello that comes byte by byte, after a PROXY protocol header", async () => {
    const url = await startTcpBackend((socket) => socket.pipe(socket));
    const { port, settled, report } = await startStreams([url], {
      ...bySni("a.example.com"),
      listener: { protocol: "tls", proxyProtocol: { trusted: ["127.0.0.0/8"] } },
    });
    const hello = await helloFor("a.example.com");
    const header = proxyHeader("v1", { address: "192.0.2.1", port: 1 }, { address: "10.0.0.1", port: 2 });
    const client = startClient(port);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([header, hello])) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.end();
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toBe(hello.toString("latin1"));
    await settled();
    expect(report.finishes).toMatchObject([{ client: "192.0.2.1", route: "r1", result: "ended" }]);
  });

  it("resets what is not TLS, what names no known server, and what stays silent", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { port, report, scheduling, settled } = await startStreams(
        [await startEcho()],
        bySni("a.example.com"),
      );
      for (const bytes of [
        "GET / HTTP/1.1\r\n\r\n",
        await helloFor("b.example.com"),
        await helloFor(undefined),
        "",
      ]) {
        const client = startClient(port, bytes);
        if (bytes.length === 0) {
          await eventually(() => report.opened() === 1, "the connection");
          vi.advanceTimersByTime(5_000);
        }
        await eventually(client.closed, "the connection to close");
        expect(client.fault()).toBe("ECONNRESET");
      }
      await settled();
      expect(report.finishes).toMatchObject([
        { result: "client-hello", reason: "this is no TLS handshake" },
        { result: "no-route", reason: "server name b.example.com" },
        { result: "no-route", reason: "" },
        { result: "client-hello", reason: "the TLS ClientHello did not come in time" },
      ]);
      expect(scheduling.picked).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });
});

/** The first bytes of a client. */
async function helloFor(servername: string | undefined): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const first = new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => {
      socket
        .on("error", () => {})
        .once("data", (data: Buffer) => {
          resolve(data);
          socket.destroy();
        });
    });
  });
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", ...(servername === undefined ? {} : { servername }) });
  client.on("error", () => {});
  const bytes = await first;
  server.close();
  return bytes;
}

const ending: GatewayOptions = {
  listener: { tls: { certificates: [{ cert: fileOf("a.pem"), key: fileOf("a.key") }] } },
  openTls: ({ name }, tls) =>
    createTlsContexts({ name, tls, protocols: [], onTlsError() {}, onCertificates() {}, onReload() {} }),
};

describe("a tcp listener with certificates", () => {
  it("ends TLS, and passes the bytes inside on, with half of them closed as well", async () => {
    const backend = await startTcpBackend((socket) => {
      let got = "";
      socket.on("data", (chunk) => {
        got += chunk;
      });
      socket.on("end", () => socket.end(`you said ${got}`));
    });
    const { port, settled, report } = await startStreams([backend], ending);
    const client = startTlsClient(port, { servername: "a.example.com" });
    client.socket.end("secret");
    await eventually(client.closed, "the connection to close");
    expect([client.received(), client.fault()]).toEqual(["you said secret", null]);
    await settled();
    expect(report.finishes).toMatchObject([{ result: "ended", bytesIn: 6, bytesOut: 15 }]);
  });

  it("passes much through whole, both ways", async () => {
    const { port, settled, report } = await startStreams([await startEcho()], ending);
    const sent = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdefg");
    const client = startTlsClient(port, { servername: "a.example.com" });
    client.socket.end(sent);
    await eventually(client.closed, "the connection to close");
    expect(client.received() === sent.toString()).toBe(true);
    await settled();
    expect(report.finishes).toMatchObject([{ bytesIn: sent.length, bytesOut: sent.length }]);
  });

  it("routes by the server name", async () => {
    const urls = await Promise.all(
      ["one", "two"].map((text) => startTcpBackend((socket) => socket.end(text).resume())),
    );
    const { port, settled } = await startStreams(urls, {
      ...ending,
      routes: bySni("a.example.com", undefined).routes ?? [],
    });
    for (const [servername, expected] of [
      ["a.example.com", "one"],
      ["b.example.com", "two"],
    ] as const) {
      const client = startTlsClient(port, { servername });
      await eventually(client.closed, "the connection to close");
      expect([client.received(), client.fault()]).toEqual([expected, null]);
    }
    await settled();
  });

  it("takes a PROXY protocol header before the handshake", async () => {
    const { port, settled, report } = await startStreams([await startEcho()], {
      ...ending,
      listener: { ...ending.listener, proxyProtocol: { trusted: ["127.0.0.0/8"] } },
    });
    const header = proxyHeader("v2", { address: "192.0.2.1", port: 1 }, { address: "10.0.0.1", port: 2 });
    const plain = startClient(port, header);
    plain.socket.removeAllListeners("data");
    const socket = connect({
      socket: plain.socket,
      ca,
      servername: "a.example.com",
      checkServerIdentity: () => undefined,
    });
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk;
    });
    socket.end("hello");
    await eventually(() => received === "hello", "the echo");
    await settled();
    expect(report.finishes).toMatchObject([{ client: "192.0.2.1", result: "ended" }]);
  });

  it("cuts a client off without an end of TLS when the backend is reset", async () => {
    const backend = await startTcpBackend((socket) => {
      socket.write("half of ");
      socket.once("data", () => socket.resetAndDestroy());
    });
    const { port, settled, report } = await startStreams([backend], ending);
    const client = startTlsClient(port, { servername: "a.example.com" });
    await eventually(() => client.received() === "half of ", "the first half");
    client.socket.write("go");
    await eventually(client.closed, "the connection to close");
    expect(client.fault()).toBe("ECONNRESET");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "backend-reset" }]);
  });

  it("resets the backend when the client is reset", async () => {
    let fault: NodeJS.ErrnoException | null = null;
    const backend = await startTcpBackend((socket) => {
      socket.write("hello");
      socket.on("error", (error) => {
        fault = error;
      });
    });
    const { port, settled, report } = await startStreams([backend], ending);
    const plain = startClient(port);
    plain.socket.removeAllListeners("data");
    const socket = connect({ socket: plain.socket, ca, checkServerIdentity: () => undefined });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("data", resolve));
    plain.socket.resetAndDestroy();
    await eventually(() => fault !== null, "the backend to be told");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "client-reset" }]);
  });

  it("lets no backend hear of a handshake that fails", async () => {
    const { port, settled, report, scheduling } = await startStreams([await startEcho()], ending);
    const client = startClient(port, "GET / HTTP/1.1\r\n\r\n");
    await eventually(() => client.ended() || client.closed(), "the connection to end");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "tls" }]);
    expect(scheduling.picked).toEqual([]);
  });
});
