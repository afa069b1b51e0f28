// HTTP/1 connections as a whole: random traffic in random pieces, in plain text and through TLS.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { DEFAULT_HTTP_LIMITS } from "@evenkeel/core/config/resolve-listeners.ts";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { ClientEvents, Handler, Incoming } from "../messages/incoming.ts";
import { serveHttp1 } from "./http1-connection.ts";
import { eventually } from "./test-support/http1.ts";

/** How a request is served: at once or later, unread or with its body sent back, or answered within its body. */
const WAYS = ["now", "later", "echo", "echo-chunked", "early"] as const;
type Way = (typeof WAYS)[number];

interface Sent {
  way: Way;
  body: Buffer;
  chunked: boolean;
}

const events = (changes: Partial<ClientEvents>): ClientEvents => ({
  onClientData() {},
  onClientEnd() {},
  onClientDrain() {},
  onClientGone() {},
  onClientFault() {},
  ...changes,
});

function answer(incoming: Incoming, body: Buffer, chunked = false): void {
  const bodyLength = chunked ? Number.POSITIVE_INFINITY : body.length;
  incoming.sendHead({ status: 200, reason: "", fields: [], bodyLength, tunnel: false });
  incoming.write(body);
  incoming.end(null);
}

const handler: Handler = (incoming) => {
  const [, way, index] = incoming.head.target.split("/");
  const chunks: Buffer[] = [Buffer.from(`#${index}:`)];
  const done = (chunked = false) => answer(incoming, Buffer.concat(chunks), chunked);
  if (way === "now") done();
  else if (way === "later") setImmediate(done);
  else incoming.read();
  return events({
    onClientData(chunk) {
      if (way === "early") return done();
      chunks.push(chunk);
      if (chunk.length % 2 === 0) return;
      incoming.pauseReading();
      setImmediate(() => incoming.read());
    },
    onClientEnd() {
      if (way !== "now" && way !== "later") done(way === "echo-chunked");
    },
  });
};

const pem = (name: string) => readFileSync(new URL(`../test-support/certificates/${name}`, import.meta.url));
const servers: Server[] = [];
const sockets = new Set<Socket>();
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

/** A server of connections, plain or through TLS; answers how to connect to it. */
async function start(secure: boolean, serve: Handler): Promise<() => Socket> {
  const endpoint = { name: "web", closing: false };
  const onSocket = (socket: Socket) => {
    const tls = secure ? { servername: null, certificate: null } : null;
    const serving = { handler: serve, limits: DEFAULT_HTTP_LIMITS, onRefused() {} };
    const nowhere = { peer: "127.0.0.1", peerPort: 0, localAddress: "127.0.0.1", localPort: 0 };
    serveHttp1(socket, { endpoint, ...nowhere, tls }, serving, null);
  };
  const server = secure
    ? createTlsServer({ key: pem("a.key"), cert: pem("a.pem"), allowHalfOpen: true }, onSocket)
    : createTcpServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const to = { port, host: "127.0.0.1" };
  return () => {
    const socket = secure ? connectTls({ ...to, rejectUnauthorized: false }) : connectTcp(to);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    return socket;
  };
}

function bytesOf(requests: readonly Sent[]): Buffer {
  const parts = requests.flatMap(({ way, body, chunked }, index) => {
    const framing = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
    const head = Buffer.from(`POST /${way}/${index} HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
    if (!chunked) return [head, body];
    const half = body.length >> 1;
    const chunks = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0);
    const framed = chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]);
    return [head, ...framed, Buffer.from("0\r\n\r\n")];
  });
  return Buffer.concat(parts);
}

/** Bodies of the answers so far. */
function bodiesOf(received: string): string[] {
  const bodies: string[] = [];
  let at = 0;
  for (;;) {
    const end = received.indexOf("\r\n\r\n", at);
    if (end === -1) return bodies;
    const length = /content-length: (\d+)/.exec(received.slice(at, end))?.[1];
    let from = end + 4;
    if (length !== undefined) {
      if (received.length < from + Number(length)) return bodies;
      bodies.push(received.slice(from, from + Number(length)));
      at = from + Number(length);
      continue;
    }
    let body = "";
    for (let size = -1; size !== 0; ) {
      const line = received.indexOf("\r\n", from);
      if (line === -1) return bodies;
      size = Number.parseInt(received.slice(from, line), 16);
      if (received.length < line + 4 + size) return bodies;
      body += received.slice(line + 2, line + 2 + size);
      from = line + 4 + size;
    }
    bodies.push(body);
    at = from;
  }
}

const request = fc.record({
  way: fc.constantFrom(...WAYS),
  body: fc
    .oneof(fc.constant(0), fc.nat(50), fc.nat(100_000))
    .map((size) => Buffer.alloc(size, "0123456789abcdef!")),
  chunked: fc.boolean(),
});

describe.each([false, true])("traffic, through TLS: %s,", (secure) => {
  it("however it is cut into pieces and served, is answered in order, each body to its own request", async () => {
    const connect = await start(secure, handler);
    const requests = fc.array(request, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(requests, fc.array(fc.nat(1_000_000), { maxLength: 8 }), async (sent, places) => {
        const bytes = bytesOf(sent);
        const cuts = [...new Set(places.map((place) => place % bytes.length))].sort((a, b) => a - b);
        const socket = connect();
        let received = "";
        socket.on("data", (chunk) => {
          received += chunk.toString("latin1");
        });
        for (const [i, end] of [...cuts, bytes.length].entries()) {
          socket.write(bytes.subarray(i === 0 ? 0 : cuts[i - 1], end));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await eventually(() => bodiesOf(received).length === sent.length, "all answers");
        const echoed = sent.map(
          ({ way, body }, i) => `#${i}:${way.startsWith("echo") ? body.toString() : ""}`,
        );
        expect(bodiesOf(received)).toEqual(echoed);
        socket.destroy();
      }),
      { seed: secure ? 7 : 8, numRuns: 60 },
    );
  }, 60_000);

  it("of an answer that is aborted never looks complete", async () => {
    const connect = await start(secure, (incoming) => {
      incoming.sendHead({ status: 200, reason: "", fields: [], bodyLength: 9, tunnel: false });
      incoming.write(Buffer.from("part"));
      setImmediate(() => incoming.abort());
      return events({});
    });
    const socket = connect();
    let received = "";
    let closed = false;
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("close", () => {
      closed = true;
    });
    socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => closed, "the end of the connection");
    expect(received === "" || received.endsWith("\r\n\r\npart")).toBe(true);
  });

  it("in a tunnel passes both ways whole", async () => {
    const connect = await start(secure, (incoming) => {
      incoming.sendHead({ status: 101, reason: "", fields: [], bodyLength: 0, tunnel: true });
      incoming.read();
      return events({
        onClientData(chunk) {
          if (!incoming.write(chunk)) incoming.pauseReading();
        },
        onClientDrain: () => incoming.read(),
        onClientEnd: () => incoming.end(null),
      });
    });
    const socket = connect();
    const sent = randomBytes(4 * 1024 * 1024);
    const chunks: Buffer[] = [];
    let ended = false;
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => {
      ended = true;
    });
    socket.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.end(sent);
    await eventually(() => ended, "the end");
    const all = Buffer.concat(chunks);
    expect(all.subarray(all.indexOf("\r\n\r\n") + 4).equals(sent)).toBe(true);
  });
});
