import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { Fault } from "../messages/outgoing.ts";
import { MAX_INTERIMS } from "./limits.ts";
import { h2c, ok, over2 } from "./test-support/http2-backend.ts";
import { data, goAway, headers, headersOfThree, reset, startFrames } from "./test-support/http2-frames.ts";
import { ask, certificate, eventually, start, startRawTls } from "./test-support/world.ts";

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
