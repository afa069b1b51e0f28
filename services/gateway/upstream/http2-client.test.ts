import { readFileSync } from "node:fs";
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
  type Settings,
} from "node:http2";
import type { Server, Socket } from "node:net";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import type { Fault } from "../messages/outgoing.ts";
import { MAX_INTERIMS } from "./limits.ts";
import {
  data,
  goAway,
  headers,
  headersOfThree,
  reset,
  settings,
  startFrames,
} from "./test-support/http2-frames.ts";
import {
  ask,
  certificate,
  eventually,
  listenOn,
  onCleanup,
  type Receiver,
  start,
  startRawTls,
  worldOf,
} from "./test-support/world.ts";

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[]) => void;

interface Http2Backend {
  url: string;
  sessions: number;
  open: number;
}

async function listen(server: Http2Server, scheme: string, onStream: OnStream): Promise<Http2Backend> {
  const backend = { url: "", sessions: 0, open: 0 };
  server.on("session", (session) => {
    backend.sessions += 1;
    backend.open += 1;
    session.on("error", () => {});
    session.on("close", () => {
      backend.open -= 1;
    });
    onCleanup(() => session.destroy());
  });
  server.on("stream", (stream, received, _flags, raw) => {
    stream.on("error", () => {});
    onStream(stream as ServerHttp2Stream, received, raw as unknown as string[]);
  });
  backend.url = `${scheme}://127.0.0.1:${await listenOn(server as unknown as Server)}`;
  return backend;
}

const h2c = (onStream: OnStream, own: Settings = {}) =>
  listen(createServer({ settings: own }), "http", onStream);

const over2 = (url: string, more: Partial<PoolDocument> = {}) => worldOf(url, { http: "2", ...more });

const ok: OnStream = (stream) => {
  stream.respond({ ":status": 200 });
  stream.end("ok");
};

describe("an answer over HTTP/2", () => {
  it("is told in order, and the connection carries the next", async () => {
    const backend = await h2c((stream) => {
      stream.respond(
        { ":status": 200, "content-length": "2", "set-cookie": ["a=1", "b=2"] },
        { endStream: false },
      );
      stream.end("ok");
    });
    const { origin } = over2(backend.url);
    await ask(origin);
    const { told, head, text } = await ask(origin);
    expect(told.filter((what) => what !== "flush")).toEqual(["head", "data", "end"]);
    expect(text).toBe("ok");
    expect(head).toMatchObject({ status: 200, reason: "", bodyLength: 2, tunnel: false });
    const cookies = head?.fields.filter((_, i, all) => i % 3 === 2 && all[i - 1] === "set-cookie");
    expect(cookies).toEqual(["a=1", "b=2"]);
    expect(backend.sessions).toBe(1);
  });

  it("may be a header section alone, as gRPC tells faults", async () => {
    const backend = await h2c((stream) =>
      stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true }),
    );
    const { head, ended, trailers } = await ask(over2(backend.url).origin);
    expect(head?.bodyLength).toBe(0);
    expect(head?.fields).toContain("grpc-status");
    expect([ended, trailers]).toEqual([true, null]);
  });

  it("has trailers", async () => {
    const backend = await h2c((stream) => {
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-sum": "7" }));
      stream.end("body");
    });
    const { text, trailers } = await ask(over2(backend.url).origin);
    expect(text).toBe("body");
    expect(trailers).toEqual(["grpc-status", "grpc-status", "0", "x-sum", "x-sum", "7"]);
  });

  it("may be preceded by interim answers, so many and no more", async () => {
    let interims = 2;
    const backend = await h2c((stream, ...rest) => {
      for (let i = 0; i < interims; i += 1) stream.additionalHeaders({ ":status": 103, link: `</${i}>` });
      ok(stream, ...rest);
    });
    const { origin } = over2(backend.url);
    const first = await ask(origin);
    expect(first.interims).toEqual([
      [103, ["link", "link", "</0>"]],
      [103, ["link", "link", "</1>"]],
    ]);
    expect(first.text).toBe("ok");
    interims = MAX_INTERIMS + 1;
    expect((await ask(origin)).fault).toBe("invalid-answer");
  });

  it("arrives whole though it is read slowly, and the backend is held back meanwhile", async () => {
    const body = Buffer.alloc(6 * 1024 * 1024, "0123456789abcdef0");
    let taken = false;
    const backend = await h2c((stream) => {
      stream.respond({ ":status": 200 });
      stream.on("finish", () => {
        taken = true;
      });
      stream.end(body);
    });
    const { origin, looked } = over2(backend.url);
    const receiver = start(origin);
    receiver.onChunk = () => receiver.outgoing?.pause();
    await eventually(() => receiver.chunks.length > 0, "the first of the body");
    await looked();
    expect(taken).toBe(false);
    expect(receiver.chunks.length).toBe(1);
    receiver.onChunk = () => {
      receiver.outgoing?.pause();
      setImmediate(() => receiver.outgoing?.resume());
    };
    receiver.outgoing?.resume();
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBeNull();
    expect(Buffer.concat(receiver.chunks).equals(body)).toBe(true);
  });

  it("that was whole before it was read is not taken for one cut off", async () => {
    const body = Buffer.alloc(300_000, "x");
    const backend = await h2c((stream) => {
      stream.respond({ ":status": 200 });
      stream.end(body);
    });
    const { origin, looked } = over2(backend.url);
    const receiver = start(origin);
    receiver.onChunk = () => receiver.outgoing?.pause();
    await eventually(() => receiver.chunks.length > 0, "the first of the body");
    await looked();
    receiver.onChunk = null;
    receiver.outgoing?.resume();
    await eventually(() => receiver.over, "the end");
    expect([receiver.fault, receiver.text.length]).toEqual([null, body.length]);
  });
});

type Rude = [string, (socket: Socket, stream: number) => void, Fault, boolean];

const RUDE: Rude[] = [
  ["refuses the stream", (socket, stream) => socket.write(reset(stream, 7)), "unprocessed", false],
  ["goes away without it", (socket) => socket.write(goAway(0, 0)), "unprocessed", false],
  ["goes away without it for a fault", (socket) => socket.write(goAway(0, 11)), "unprocessed", false],
  [
    "goes away for a fault of this request",
    (socket, stream) => socket.write(goAway(stream, 2)),
    "broken",
    false,
  ],
  ["resets the stream", (socket, stream) => socket.write(reset(stream, 2)), "broken", false],
  ["ends the connection", (socket) => socket.end(), "broken", false],
  ["resets the connection", (socket) => socket.resetAndDestroy(), "broken", false],
  [
    "resets the stream without fault before its answer",
    (socket, stream) => socket.write(reset(stream, 0)),
    "broken",
    false,
  ],
  [
    "resets the stream inside its answer",
    (socket, stream) => socket.write(Buffer.concat([headers(stream), data(stream, "abc"), reset(stream, 2)])),
    "broken",
    true,
  ],
  [
    "resets the stream without fault inside its answer",
    (socket, stream) => socket.write(Buffer.concat([headers(stream), data(stream, "abc"), reset(stream, 0)])),
    "broken",
    true,
  ],
  [
    "refuses the stream inside its answer",
    (socket, stream) => socket.write(Buffer.concat([headers(stream), data(stream, "abc"), reset(stream, 7)])),
    "broken",
    true,
  ],
  [
    "ends the connection inside its answer",
    (socket, stream) => socket.end(Buffer.concat([headers(stream), data(stream, "abc")])),
    "broken",
    true,
  ],
];

describe("a rude backend over HTTP/2", () => {
  it.each(RUDE)("that %s makes the attempt fail", async (_, rude, fault, mayHaveHead) => {
    for (const more of [{}, { method: "POST", bodyLength: Number.POSITIVE_INFINITY }]) {
      const backend = await startFrames(rude);
      const receiver = await ask(over2(backend.url).origin, more);
      expect([receiver.fault, receiver.outgoing?.sent]).toEqual([fault, true]);
      expect(receiver.told).not.toContain("end");
      if (!mayHaveHead) expect(receiver.head).toBeNull();
    }
  });

  it("that ends its answer and does not want the rest of the request is heard", async () => {
    const backend = await startFrames((socket, stream) =>
      socket.write(Buffer.concat([headers(stream), data(stream, "enough", true), reset(stream, 0)])),
    );
    const receiver = await ask(over2(backend.url).origin, {
      method: "POST",
      bodyLength: Number.POSITIVE_INFINITY,
    });
    expect([receiver.text, receiver.fault]).toEqual(["enough", null]);
  });

  it("that resets the stream without fault is heard if it has sent all that it declared, and not before", async () => {
    const whole = await startFrames((socket, stream) =>
      socket.write(Buffer.concat([headersOfThree(stream), data(stream, "abc"), reset(stream, 0)])),
    );
    const first = await ask(over2(whole.url).origin);
    expect([first.text, first.ended]).toEqual(["abc", true]);
    const cut = await startFrames((socket, stream) =>
      socket.write(Buffer.concat([headersOfThree(stream), data(stream, "ab"), reset(stream, 0)])),
    );
    expect((await ask(over2(cut.url).origin)).fault).toBe("broken");
  });

  it("that speaks HTTP/1 is not connected to", async () => {
    const backend = await startRawTls(
      { cert: readFileSync(certificate("a.pem")), key: readFileSync(certificate("a.key")) },
      (socket) => socket.resume(),
    );
    const { origin } = over2(backend.url, { tls: { ca: certificate("ca.pem") } });
    const { fault, outgoing } = await ask(origin);
    expect([fault, outgoing?.sent]).toEqual(["tls", false]);
  });
});

describe("a request over HTTP/2", () => {
  it("has pseudo fields, lower-case names, one cookie field, and nothing of HTTP/1", async () => {
    let seen: string[] = [];
    const backend = await h2c((stream, received, raw) => {
      seen = raw;
      ok(stream, received, raw);
    });
    const fields = [
      ...["X-Custom", "x-custom", "1", "Cookie", "cookie", "a=1", "Connection", "connection", "x"],
      ...["TE", "te", "gzip, trailers", "x-custom", "x-custom", "2", "cookie", "cookie", "b=2"],
      ...["Keep-Alive", "keep-alive", "5", "Transfer-Encoding", "transfer-encoding", "chunked"],
    ];
    const more = { method: "POST", target: "/a?b", fields, body: Buffer.from("hello") };
    expect((await ask(over2(backend.url).origin, more)).text).toBe("ok");
    expect(seen).toEqual([
      ...[":method", "POST", ":scheme", "http", ":authority", "shop.example", ":path", "/a?b"],
      ...["x-custom", "1", "te", "trailers", "x-custom", "2", "cookie", "a=1; b=2", "content-length", "5"],
    ]);
  });

  it.each([
    ["a line break", { fields: ["x-a", "x-a", "1\r\nevil: 1"] }],
    ["a name that is none", { fields: ["x a", "x a", "1"] }],
    ["a pseudo field", { fields: [":path", ":path", "/evil"] }],
    ["a space in its target", { target: "/a b" }],
  ])("with %s is not sent", async (_, more) => {
    let requests = 0;
    const backend = await h2c((stream, ...rest) => {
      requests += 1;
      ok(stream, ...rest);
    });
    const { origin } = over2(backend.url);
    const { fault, outgoing } = await ask(origin, more);
    expect([fault, outgoing?.sent]).toEqual(["unsendable", false]);
    expect((await ask(origin)).text).toBe("ok");
    expect(requests).toBe(1);
  });

  it("streams its body, with trailers", async () => {
    let body = "";
    let trailers: IncomingHttpHeaders = {};
    const backend = await h2c((stream, ...rest) => {
      stream.setEncoding("latin1").on("data", (text: string) => {
        body += text;
      });
      stream.on("trailers", (received) => {
        trailers = received;
      });
      stream.on("end", () => ok(stream, ...rest));
    });
    const { origin } = over2(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: Number.POSITIVE_INFINITY });
    await eventually(() => receiver.told.includes("ready"), "ready");
    receiver.outgoing?.write(Buffer.from("hello "));
    receiver.outgoing?.write(Buffer.from("world"));
    receiver.outgoing?.end(["X-Sum", "x-sum", "7"]);
    await eventually(() => receiver.over, "the end");
    expect([receiver.text, body, trailers["x-sum"]]).toEqual(["ok", "hello world", "7"]);
    const plain = start(origin, { method: "POST", bodyLength: 3 });
    await eventually(() => plain.told.includes("ready"), "ready");
    plain.outgoing?.write(Buffer.from("abc"));
    plain.outgoing?.end(null);
    await eventually(() => plain.over, "the end");
    expect([plain.text, body]).toEqual(["ok", "hello worldabc"]);
  });

  it("waits while the backend does not read, and goes on when it does", async () => {
    const size = 8 * 1024 * 1024;
    let received = 0;
    let go: (() => void) | null = null;
    const backend = await h2c((stream, ...rest) => {
      go = () => {
        stream.on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
        stream.on("end", () => ok(stream, ...rest));
      };
    });
    const receiver = start(over2(backend.url).origin, { method: "POST", bodyLength: size });
    await eventually(() => receiver.told.includes("ready") && go !== null, "ready");
    const chunk = Buffer.alloc(64 * 1024);
    let left = size / chunk.length;
    const pump = () => {
      while (left > 0) {
        left -= 1;
        if (receiver.outgoing?.write(chunk) === false) return;
      }
      receiver.outgoing?.end(null);
    };
    pump();
    expect(left).toBeGreaterThan(100);
    const { onBackendDrain } = receiver;
    receiver.onBackendDrain = () => {
      onBackendDrain.call(receiver);
      pump();
    };
    (go as unknown as () => void)();
    await eventually(() => receiver.over, "the end");
    expect([receiver.text, received]).toEqual(["ok", size]);
  });

  it("that is aborted is cancelled, and the connection lives on", async () => {
    const codes: number[] = [];
    const backend = await h2c((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("abc");
      stream.on("close", () => codes.push(stream.rstCode));
    });
    const { origin } = over2(backend.url);
    const receiver = start(origin);
    receiver.onChunk = () => receiver.outgoing?.abort();
    await eventually(() => codes.length === 1, "the cancellation");
    expect(codes).toEqual([8]);
    expect(receiver.told).toEqual(["head", "data"]);
    const next = start(origin);
    await eventually(() => next.text === "abc", "the next answer");
    expect(backend.sessions).toBe(1);
  });

  it("that waits for too long ends, and so does a silent answer", async () => {
    let answers = false;
    const backend = await h2c((stream) => {
      if (!answers) return;
      stream.respond({ ":status": 200 });
      stream.write("abc");
    });
    const { origin, pass, looked } = over2(backend.url);
    const first = start(origin, { responseHeadersMs: 3_000 });
    await eventually(() => first.outgoing?.sent === true, "the request");
    await looked();
    pass(3_100);
    await eventually(() => first.over, "the end");
    expect(first.fault).toBe("headers-timeout");
    answers = true;
    const second = start(origin, { idleMs: 3_000 });
    await eventually(() => second.text === "abc", "the first of the body");
    await looked();
    pass(3_100);
    await eventually(() => second.over, "the end");
    expect(second.fault).toBe("idle-timeout");
  });
});

describe("connections of HTTP/2", () => {
  it("are as few as the backend's bound on streams allows", async () => {
    const streams: ServerHttp2Stream[] = [];
    const backend = await h2c((stream) => void streams.push(stream), { maxConcurrentStreams: 3 });
    const { origin, looked } = over2(backend.url);
    const receivers: Receiver[] = [start(origin)];
    await eventually(() => streams.length === 1, "the first request");
    await looked();
    for (let i = 1; i < 7; i += 1) receivers.push(start(origin));
    await eventually(() => streams.length >= 6, "most requests");
    expect(backend.sessions).toBeGreaterThanOrEqual(2);
    for (const stream of streams.splice(0)) ok(stream, {}, []);
    await eventually(() => streams.length === 1 || receivers.every(({ over }) => over), "the rest");
    for (const stream of streams.splice(0)) ok(stream, {}, []);
    await eventually(() => receivers.every(({ ended }) => ended), "all answers");
  });

  it("are replaced once the backend goes away, and end what they carry", async () => {
    const held: [Socket, number][] = [];
    const backend = await startFrames((socket, stream) => void held.push([socket, stream]));
    const { origin } = over2(backend.url);
    const first = start(origin);
    await eventually(() => held.length === 1, "the first request");
    held[0]?.[0].write(goAway(1, 0));
    const second = start(origin, { fresh: true });
    await eventually(() => held.length === 2, "the second request");
    await eventually(() => backend.sockets.length === 2 || held.length === 2, "another connection");
    const [socket, stream] = held[0] as [Socket, number];
    socket.write(Buffer.concat([headers(stream), data(stream, "late", true)]));
    await eventually(() => first.over, "the first answer");
    expect([first.text, first.fault]).toEqual(["late", null]);
    second.outgoing?.abort();
  });

  it("are closed when idle, and ended by a configuration without them", async () => {
    const backend = await h2c(ok);
    const { origin, origins, pass, looked } = over2(backend.url);
    await ask(origin);
    await looked();
    pass(4_100);
    await eventually(() => backend.open === 0, "the connection to be closed");
    await ask(origin);
    expect(backend.sessions).toBe(2);
    origins.configure([]);
    await eventually(() => backend.open === 0, "the connection to be closed");
  });

  it("take so many requests at once and no more", async () => {
    const backend = await h2c(() => {});
    const { origin } = over2(backend.url, { maxConnections: 8 });
    const receivers: Receiver[] = [];
    for (let i = 0; i < 8; i += 1) receivers.push(start(origin));
    expect(start(origin).outgoing).toBeNull();
    for (const { outgoing } of receivers) outgoing?.abort();
    expect(start(origin).outgoing).not.toBeNull();
  });

  it("are not used for a request that was aborted before they were there", async () => {
    let requests = 0;
    const backend = await h2c((stream, ...rest) => {
      requests += 1;
      ok(stream, ...rest);
    });
    const { origin } = over2(backend.url);
    start(origin).outgoing?.abort();
    expect((await ask(origin)).text).toBe("ok");
    expect(requests).toBe(1);
  });

  it("are given up when the backend does not answer pings", async () => {
    const backend = await startFrames(() => {});
    const { origin, pass, looked } = over2(backend.url);
    const receiver = start(origin, { responseHeadersMs: 1e9 });
    await eventually(() => receiver.outgoing?.sent === true, "the request");
    for (let i = 0; i < 2; i += 1) {
      await looked();
      pass(15_100);
    }
    await eventually(() => receiver.over, "the end");
    expect([receiver.fault, receiver.detail]).toEqual(["broken", "the backend does not answer a ping"]);
  });

  it("are made by TLS with ALPN", async () => {
    const options = { cert: readFileSync(certificate("a.pem")), key: readFileSync(certificate("a.key")) };
    const backend = await listen(createSecureServer(options) as unknown as Http2Server, "https", ok);
    const { origin } = over2(backend.url, { tls: { ca: certificate("ca.pem") } });
    expect((await ask(origin, { scheme: "https" })).text).toBe("ok");
    const stranger = over2(backend.url, { tls: { ca: certificate("other-ca.pem") } });
    const { fault, outgoing } = await ask(stranger.origin);
    expect([fault, outgoing?.sent]).toEqual(["tls", false]);
  });

  it("that nobody accepts are refused", async () => {
    const backend = await h2c(ok);
    const url = backend.url.replace(/\d+$/, "1");
    const { fault, outgoing } = await ask(over2(url).origin);
    expect([fault, outgoing?.sent]).toEqual(["refused", false]);
  });
});

describe("a tunnel over HTTP/2", () => {
  const key = ["Sec-WebSocket-Key", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="];

  it("is an extended CONNECT, and looks to the client like a switch of protocols", async () => {
    let seen: string[] = [];
    const backend = await h2c(
      (stream, _received, raw) => {
        seen = raw;
        stream.respond({ ":status": 200, "sec-websocket-protocol": "chat" });
        stream.on("data", (chunk: Buffer) => stream.write(chunk.toString().toUpperCase()));
        stream.on("end", () => stream.end("bye"));
      },
      { enableConnectProtocol: true },
    );
    const receiver = start(over2(backend.url).origin, { upgrade: "websocket", target: "/chat", fields: key });
    await eventually(() => receiver.head !== null, "the head");
    expect(seen.slice(0, 4)).toEqual([":method", "CONNECT", ":protocol", "websocket"]);
    expect(seen).not.toContain("sec-websocket-key");
    expect(receiver.head).toMatchObject({ status: 101, tunnel: true });
    expect(receiver.head?.fields).toContain("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    receiver.outgoing?.write(Buffer.from("hello"));
    await eventually(() => receiver.text === "HELLO", "the echo");
    receiver.outgoing?.end(null);
    await eventually(() => receiver.ended, "the end");
    expect(receiver.text).toBe("HELLObye");
  });

  it("is not asked for where the backend offers none", async () => {
    const backend = await startFrames(() => {}, settings([8, 0]));
    const { fault, outgoing } = await ask(over2(backend.url).origin, { upgrade: "websocket", fields: key });
    expect([fault, outgoing?.sent]).toEqual(["unsendable", false]);
  });
});
