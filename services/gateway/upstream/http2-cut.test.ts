// What a backend sees, frame by frame, of requests over HTTP/2 that are cut off: never the end of a request.
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { over2 } from "./test-support/http2-backend.ts";
import {
  DATA,
  data,
  END_STREAM,
  type Frame,
  HEADERS,
  headers,
  RST_STREAM,
  settings,
  startFrames,
  windowUpdate,
} from "./test-support/http2-frames.ts";
import { ask, eventually, type Receiver, start } from "./test-support/world.ts";

const CANCEL = 8;
const STREAMED = { method: "POST", bodyLength: Number.POSITIVE_INFINITY };

async function watching(onRequest: (socket: Socket, stream: number) => void = () => {}, own = settings()) {
  const frames: Frame[] = [];
  const backend = await startFrames(onRequest, own, (frame) => void frames.push(frame));
  const ended = (stream: number) =>
    frames.some(
      ({ type, flags, stream: of }) =>
        of === stream && (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0,
    );
  const code = (stream: number) =>
    frames.find(({ type, stream: of }) => type === RST_STREAM && of === stream)?.payload.readUInt32BE(0);
  const bytes = (stream: number) =>
    frames
      .filter(({ type, stream: of }) => type === DATA && of === stream)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  return { ...backend, frames, ended, code, bytes };
}

/** A request whose first bytes have arrived. */
async function halfSent(
  backend: Awaited<ReturnType<typeof watching>>,
  more: Parameters<typeof start>[1] = STREAMED,
) {
  const world = over2(backend.url);
  const receiver = start(world.origin, more);
  await eventually(() => receiver.told.includes("ready"), "ready");
  receiver.outgoing?.write(Buffer.from("half"));
  await eventually(() => backend.bytes(1) >= 4, "the first of the body");
  return { receiver, ...world };
}

async function settled(backend: Awaited<ReturnType<typeof watching>>, receiver: Receiver) {
  await eventually(() => backend.code(1) !== undefined, "the reset");
  expect(receiver.ended).toBe(false);
}

describe("a request over HTTP/2 that is cut off in its body", () => {
  it("because it is aborted ends in a reset and not in an end", async () => {
    const backend = await watching();
    const { receiver, origin } = await halfSent(backend);
    receiver.outgoing?.abort();
    await settled(backend, receiver);
    const next = start(origin);
    await eventually(() => backend.ended(3), "the next request");
    expect([backend.code(1), backend.ended(1), backend.bytes(1)]).toEqual([CANCEL, false, 4]);
    next.outgoing?.abort();
  });

  it("though it declared its length, and all but one byte of it is there", async () => {
    const backend = await watching();
    const { receiver } = await halfSent(backend, { method: "POST", bodyLength: 5 });
    receiver.outgoing?.abort();
    await settled(backend, receiver);
    expect([backend.code(1), backend.ended(1)]).toEqual([CANCEL, false]);
  });

  it("because the backend answers too late for it", async () => {
    const backend = await watching((socket, stream) => socket.write(headers(stream)));
    const { receiver, pass, looked } = await halfSent(backend, { ...STREAMED, idleMs: 2_000 });
    await eventually(() => receiver.head !== null, "the head");
    await looked();
    pass(2_100);
    await eventually(() => receiver.over, "the end");
    await settled(backend, receiver);
    expect([receiver.fault, backend.ended(1)]).toEqual(["idle-timeout", false]);
  });

  it("because its trailers cannot be sent", async () => {
    const backend = await watching();
    const { receiver } = await halfSent(backend);
    receiver.outgoing?.end(["x-a", "x-a", "1\r\nevil: 1"]);
    await settled(backend, receiver);
    expect([receiver.fault, backend.ended(1)]).toEqual(["unsendable", false]);
  });

  it("because the backend has answered in full already", async () => {
    const backend = await watching((socket, stream) => socket.write(headers(stream)));
    const { receiver } = await halfSent(backend);
    backend.sockets[0]?.write(data(1, "enough", true));
    await eventually(() => receiver.over, "the end");
    await eventually(() => backend.code(1) !== undefined, "the reset");
    expect([receiver.fault, receiver.text, backend.ended(1)]).toEqual([null, "enough", false]);
  });

  it("because its connection is given up, where no frame at all follows", async () => {
    const backend = await watching();
    const { receiver, pass, looked } = await halfSent(backend);
    for (let i = 0; i < 2; i += 1) {
      await looked();
      pass(15_100);
    }
    await eventually(() => receiver.over && backend.open() === 0, "the end of the connection");
    expect([receiver.fault, backend.ended(1)]).toEqual(["broken", false]);
  });

  it("while the backend lets no more of it come", async () => {
    const window = settings([4, 10]);
    const backend = await watching(() => {}, window);
    const { origin } = over2(backend.url);
    const whole = start(origin, { method: "POST", body: Buffer.alloc(100_000, "x") });
    await eventually(() => backend.bytes(1) === 10, "what the window allows");
    whole.outgoing?.abort();
    await settled(backend, whole);
    const streamed = start(origin, STREAMED);
    await eventually(() => streamed.told.includes("ready"), "ready");
    streamed.outgoing?.write(Buffer.alloc(100_000, "x"));
    streamed.outgoing?.end(["x-sum", "x-sum", "7"]);
    await eventually(() => backend.bytes(3) === 10, "what the window allows");
    streamed.outgoing?.abort();
    await eventually(() => backend.code(3) !== undefined, "the reset");
    backend.sockets[0]?.write(Buffer.concat([windowUpdate(0, 200_000), windowUpdate(3, 200_000)]));
    const next = start(origin);
    await eventually(() => backend.ended(5), "the next request");
    expect([backend.ended(1), backend.ended(3), backend.bytes(3)]).toEqual([false, false, 10]);
    next.outgoing?.abort();
  });

  it("while the backend answers it, and lets more of it come at the same moment", async () => {
    for (const trailers of [null, ["x-sum", "x-sum", "7"]]) {
      const backend = await watching(() => {}, settings([4, 10]));
      const { origin } = over2(backend.url);
      const receiver = start(origin, STREAMED);
      await eventually(() => receiver.told.includes("ready"), "ready");
      receiver.outgoing?.write(Buffer.alloc(1_000, "x"));
      receiver.outgoing?.end(trailers);
      await eventually(() => backend.bytes(1) === 10, "what the window allows");
      receiver.onChunk = () => receiver.outgoing?.abort();
      const more = Buffer.concat([windowUpdate(0, 200_000), windowUpdate(1, 200_000)]);
      backend.sockets[0]?.write(Buffer.concat([more, headers(1), data(1, "abc"), more]));
      await settled(backend, receiver);
      const next = start(origin);
      await eventually(() => backend.ended(3), "the next request");
      expect([backend.code(1), backend.bytes(1) === 1_000 || !backend.ended(1)]).toEqual([CANCEL, true]);
      next.outgoing?.abort();
    }
  });

  it("as soon as its last byte was written, while the end of its answer comes", async () => {
    for (const trailers of [null, ["x-sum", "x-sum", "7"]]) {
      const backend = await watching();
      const { receiver, origin } = await halfSent(backend);
      receiver.onChunk = () => {
        receiver.outgoing?.end(trailers);
        receiver.outgoing?.abort();
      };
      backend.sockets[0]?.write(Buffer.concat([headers(1), data(1, "abc", true)]));
      await eventually(() => receiver.chunks.length === 1, "the answer");
      const next = start(origin);
      await eventually(() => backend.ended(3), "the next request");
      expect(receiver.ended).toBe(false);
      next.outgoing?.abort();
    }
  });

  it("before its first byte", async () => {
    const backend = await watching();
    const receiver = start(over2(backend.url).origin, STREAMED);
    await eventually(() => receiver.told.includes("ready"), "ready");
    receiver.outgoing?.abort();
    await settled(backend, receiver);
    expect([backend.code(1), backend.ended(1)]).toEqual([CANCEL, false]);
  });
});

describe("a tunnel over HTTP/2 that is cut off", () => {
  it("ends in a reset and not in an end", async () => {
    const backend = await watching((socket, stream) => socket.write(headers(stream)), settings([8, 1]));
    const receiver = start(over2(backend.url).origin, { upgrade: "websocket" });
    await eventually(() => receiver.head !== null, "the switch");
    receiver.outgoing?.write(Buffer.from("hello"));
    await eventually(() => backend.bytes(1) === 5, "what was written");
    receiver.outgoing?.abort();
    await settled(backend, receiver);
    expect([receiver.head?.status, backend.code(1), backend.ended(1)]).toEqual([101, CANCEL, false]);
  });
});

describe("a request over HTTP/2 that is whole", () => {
  it("ends with its body, or with its trailers, or with its header section", async () => {
    const backend = await watching();
    const { origin } = over2(backend.url);
    const kinds = [STREAMED, STREAMED, { method: "POST", body: Buffer.from("abc") }, {}];
    for (const [i, more] of kinds.entries()) {
      const receiver = start(origin, more);
      if (more === STREAMED) {
        await eventually(() => receiver.told.includes("ready"), "ready");
        receiver.outgoing?.write(Buffer.from("abc"));
        receiver.outgoing?.end(i === 0 ? null : ["x-sum", "x-sum", "7"]);
      }
      await eventually(() => backend.ended(2 * i + 1), "the end of the request");
    }
    const last = (stream: number) => backend.frames.filter((one) => one.stream === stream).at(-1)?.type;
    expect([1, 3, 5, 7].map(last)).toEqual([DATA, HEADERS, DATA, HEADERS]);
    expect([1, 3, 5].map(backend.bytes)).toEqual([3, 3, 3]);
  });

  it("and answered by an end in time is no fault", async () => {
    const backend = await watching((socket, stream) => socket.write(headers(stream, true)));
    expect((await ask(over2(backend.url).origin)).ended).toBe(true);
  });
});
