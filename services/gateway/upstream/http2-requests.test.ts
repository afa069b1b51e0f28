import type { IncomingHttpHeaders } from "node:http2";
import { describe, expect, it } from "vitest";
import { h2c, ok, over2 } from "./test-support/http2-backend.ts";
import { settings, startFrames } from "./test-support/http2-frames.ts";
import { ask, eventually, start } from "./test-support/world.ts";

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
