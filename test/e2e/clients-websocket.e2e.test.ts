// WebSockets between `ws` and `ws`, over HTTP/1.1 with TLS and without, and over HTTP/2 (RFC 8441).
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { waitFor } from "../support/cluster.ts";
import { certificateFile, type Front, openFront } from "../support/front.ts";
import { type Origin, openOrigin } from "../support/origins.ts";

const MIB = 1024 * 1024;
const AT_ONCE = 100;
const TIMEOUT_MS = 10_000;
const CA = readFileSync(certificateFile("ca.pem"));

let front: Front;
let origin: Origin;
/** The backend's ends, in the order they were opened. */
let accepted: WebSocket[] = [];
/** What the backend was told of closes. */
let closes: [number, string][] = [];
let pings: string[] = [];

beforeAll(async () => {
  const server = createServer((_, response) => response.writeHead(426).end("WebSockets only"));
  const sockets = new WebSocketServer({
    server,
    maxPayload: 4 * MIB,
    verifyClient: ({ req }, done) => done(req.url !== "/forbidden", 403, "Forbidden"),
    handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
  });
  sockets.on("connection", (socket, request) => {
    accepted.push(socket);
    socket.on("error", () => {});
    socket.on("ping", (data) => pings.push(data.toString()));
    socket.on("close", (code, reason) => closes.push([code, reason.toString()]));
    if (request.url === "/greeting")
      socket.send("hello"); // often in one piece with the answer's head
    else socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  origin = await openOrigin(server);
  const certificates = [{ cert: certificateFile("a.pem"), key: certificateFile("a.key") }];
  front = await openFront(
    {
      listeners: [
        { name: "web", protocol: "http", port: 0 },
        { name: "secure", protocol: "http", port: 0, tls: { certificates } },
      ],
      routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "chat" }],
      pools: [{ name: "chat", backends: [{ id: "b1", url: `http://127.0.0.1:${origin.port}` }] }],
    },
    inject("redisUrl"),
  );
});

afterAll(async () => {
  await front?.end();
  await origin?.kill();
});

/** What is left of one test must not be seen by the next. */
beforeEach(async () => {
  await front.counts("chat", { b1: 0 });
  accepted = [];
  closes = [];
  pings = [];
});

function begin(listener: string, path = "/", protocols: string[] = []): WebSocket {
  const scheme = listener === "secure" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://127.0.0.1:${front.port(listener)}${path}`, protocols, { ca: CA });
  socket.on("error", () => {}); // of those that are refused
  onTestFinished(() => socket.terminate());
  return socket;
}

async function open(listener: string, path = "/", protocols: string[] = []): Promise<WebSocket> {
  const socket = begin(listener, path, protocols);
  await once(socket, "open");
  return socket;
}

const echo = async (socket: WebSocket, message: string | Buffer): Promise<[Buffer, boolean]> => {
  socket.send(message);
  return (await once(socket, "message")) as [Buffer, boolean];
};

const closeOf = async (socket: WebSocket): Promise<[number, string]> => {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, reason.toString()];
};

const eventually = (condition: () => boolean, what: string) =>
  waitFor(condition, { timeoutMs: TIMEOUT_MS, what });

describe.each(["web", "secure"])("ws through the listener %s", (listener) => {
  it("gets its messages back, text and binary, small and of 1 MiB", async () => {
    const socket = await open(listener);
    for (const text of ["", "hello", "ü✓".repeat(100), "x".repeat(MIB)]) {
      const [data, isBinary] = await echo(socket, text);
      expect([data.toString() === text, isBinary]).toEqual([true, false]);
    }
    for (const bytes of [randomBytes(1), randomBytes(65_536), randomBytes(MIB)]) {
      const [data, isBinary] = await echo(socket, bytes);
      expect([data.equals(bytes), isBinary]).toEqual([true, true]);
    }
  });

  it("gets what the backend says at once", async () => {
    for (let i = 0; i < 20; i += 1) {
      const socket = begin(listener, "/greeting");
      expect(String((await once(socket, "message"))[0])).toBe("hello");
    }
  });

  it("pings and is answered, both ways", async () => {
    const socket = await open(listener);
    socket.ping("are you there?");
    expect(String((await once(socket, "pong"))[0])).toBe("are you there?");
    expect(pings).toEqual(["are you there?"]);
    const [far] = accepted.slice(-1) as [WebSocket];
    far.ping("and you?");
    expect(String((await once(far, "pong"))[0])).toBe("and you?");
  });

  it("tells the backend why it closes, and is told why the backend does", async () => {
    const leaving = await open(listener);
    leaving.close(4001, "going home");
    expect(await closeOf(leaving)).toEqual([4001, "going home"]);
    await eventually(() => closes.length === 1, "the backend to be told");
    expect(closes).toEqual([[4001, "going home"]]);
    const left = await open(listener);
    accepted.at(-1)?.close(1013, "try again later");
    expect(await closeOf(left)).toEqual([1013, "try again later"]);
    await front.counts("chat", { b1: 0 });
  });

  it("agrees on a subprotocol with the backend", async () => {
    expect((await open(listener, "/", ["chat.v1", "chat.v2"])).protocol).toBe("chat.v2");
  });

  it("is told when the backend refuses", async () => {
    const socket = begin(listener, "/forbidden");
    const [, response] = await once(socket, "unexpected-response");
    expect(response.statusCode).toBe(403);
    await front.counts("chat", { b1: 0 });
  });

  it("leaves the backend's end closed when it dies", async () => {
    (await open(listener)).terminate();
    const [far] = accepted.slice(-1) as [WebSocket];
    await eventually(() => far.readyState === WebSocket.CLOSED, "the backend to be told");
    await front.counts("chat", { b1: 0 });
  });

  it("is open a hundred times at once, each counted", async () => {
    const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => open(listener)));
    await front.counts("chat", { b1: AT_ONCE });
    const answers = await Promise.all(sockets.map((socket, i) => echo(socket, `number ${i}`)));
    expect(answers.map(([data]) => data.toString())).toEqual(sockets.map((_, i) => `number ${i}`));
    for (const socket of sockets) socket.close();
    await front.counts("chat", { b1: 0 });
  });

  it("is closed when the backend dies, and open again when that is back", async () => {
    const socket = await open(listener);
    const closed = closeOf(socket);
    await origin.kill();
    expect((await closed)[0]).toBe(1006);
    await front.counts("chat", { b1: 0 });
    await origin.restart();
    const again = await waitFor(() => open(listener), { timeoutMs: TIMEOUT_MS, what: "the backend" });
    expect((await echo(again, "hello"))[0].toString()).toBe("hello");
  });
});

/** A masked frame of up to 125 bytes. */
function frame(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text, "latin1");
  const mask = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] as number));
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
}

describe.each(["web", "secure"])("a WebSocket over HTTP/2 through the listener %s", (listener) => {
  async function openSession(): Promise<ClientHttp2Session> {
    const scheme = listener === "secure" ? "https" : "http";
    const session = connect(`${scheme}://127.0.0.1:${front.port(listener)}`, { ca: CA });
    onTestFinished(() => session.destroy());
    await once(session, "remoteSettings");
    expect(session.remoteSettings.enableConnectProtocol).toBe(true);
    return session;
  }

  async function openStream(session: ClientHttp2Session, path = "/", headers = {}) {
    const stream: ClientHttp2Stream = session.request(
      {
        ...{ ":method": "CONNECT", ":protocol": "websocket", ":path": path },
        ...{ "sec-websocket-version": "13", ...headers },
      },
      { endStream: false },
    );
    const received: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => received.push(chunk));
    stream.on("error", () => {});
    const [answer] = await once(stream, "response");
    return { stream, answer, bytes: () => Buffer.concat(received) };
  }

  it("reaches a backend of HTTP/1.1", async () => {
    const session = await openSession();
    const offer = { "sec-websocket-protocol": "chat.v1, chat.v2" };
    const { stream, answer, bytes } = await openStream(session, "/", offer);
    expect(answer).toMatchObject({ ":status": 200, "sec-websocket-protocol": "chat.v2" });
    stream.write(frame(1, "hello"));
    await eventually(() => bytes().length >= 7, "the echo");
    expect(bytes()).toEqual(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from("hello")]));
    await front.counts("chat", { b1: 1 });
    stream.write(frame(8, "\u0003\u00e8"));
    stream.end();
    await eventually(() => closes.some(([code]) => code === 1000), "the backend to be told of the end");
    await front.counts("chat", { b1: 0 });
  });

  it("is open many times on one connection", async () => {
    const session = await openSession();
    const all = await Promise.all(Array.from({ length: 50 }, () => openStream(session)));
    for (const [i, { stream }] of all.entries()) stream.write(frame(2, `number ${i}`));
    for (const [i, { bytes }] of all.entries()) {
      const expected = `number ${i}`;
      await eventually(() => bytes().length >= expected.length + 2, "the echo");
      expect(bytes().subarray(2).toString()).toBe(expected);
    }
    await front.counts("chat", { b1: 50 });
    session.destroy();
    await front.counts("chat", { b1: 0 });
  });

  it("is told when the backend refuses, on a connection that lives on", async () => {
    const session = await openSession();
    expect((await openStream(session, "/forbidden")).answer[":status"]).toBe(403);
    expect((await openStream(session)).answer[":status"]).toBe(200);
  });

  it("ends when the backend dies", async () => {
    const { stream } = await openStream(await openSession());
    const ended = once(stream, "end");
    accepted[0]?.terminate();
    await ended;
    stream.end();
    await front.counts("chat", { b1: 0 });
  });
});
