// HTTP/2 frames that cost the server more than the client, and frames that break the protocol: the connection ends before
// they cost much, the backend is spared, and others are served.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, vi } from "vitest";
import { eventually, startGateway, startRawBackend } from "../test-support/data-path.ts";
import {
  FLAG,
  frame,
  get,
  headerBlock,
  keptField,
  openHttp2,
  PREFACE,
  post,
  type RawHttp2,
  request,
  settings,
  TYPE,
  uint32,
} from "../test-support/http2-frames.ts";
import { echo, type Recorder, startRecorder } from "../test-support/recorder.ts";

/** A flood takes a while to send. */
vi.setConfig({ testTimeout: 30_000 });

const KIB = 1024;
const MANY = 20_000;
/** What one connection may make of the backend before it is cut. */
const REQUESTS_MOST = 2_000;
const SHORT_MS = 300;

const limited = (limits: ConfigDocument["listeners"][number]["limits"]): Partial<ConfigDocument> => ({
  listeners: [{ name: "web", protocol: "http", port: 0, address: "127.0.0.1", ...(limits && { limits }) }],
});

function* times(count: number, make: (i: number) => Buffer): Generator<Buffer> {
  for (let i = 0; i < count; i += 1) yield make(i);
}

function* after(first: Buffer, rest: Iterable<Buffer>): Generator<Buffer> {
  yield first;
  yield* rest;
}

const CANCEL = uint32(8);
const streamOf = (i: number) => 2 * i + 1;
const HALF_HEADERS = frame(TYPE.headers, FLAG.endStream, 1, headerBlock(get("/")));

/** @param reads false: the client takes nothing of what it is sent until all is out */
const FLOODS: readonly (readonly [name: string, pieces: () => Iterable<Buffer>, reads?: boolean])[] = [
  [
    "requests that are reset at once",
    () =>
      times(MANY, (i) =>
        Buffer.concat([request(streamOf(i), get(`/${i}`)), frame(TYPE.reset, 0, streamOf(i), CANCEL)]),
      ),
  ],
  [
    "requests that make the server reset them",
    () =>
      times(MANY, (i) =>
        Buffer.concat([request(streamOf(i), get(`/${i}`)), frame(TYPE.window, 0, streamOf(i), uint32(0))]),
      ),
  ],
  [
    "requests with a body that are reset at once",
    () =>
      times(MANY, (i) =>
        Buffer.concat([
          request(streamOf(i), post(`/${i}`), false),
          frame(TYPE.reset, 0, streamOf(i), CANCEL),
        ]),
      ),
  ],
  ["settings that nobody reads the answers to", () => times(MANY * 5, () => settings([4, 65_535])), false],
  [
    "pings that nobody reads the answers to",
    () => times(MANY * 5, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))),
    false,
  ],
  [
    "a header section that goes on and on",
    () =>
      after(
        HALF_HEADERS,
        times(MANY, () => frame(TYPE.continuation, 0, 1, headerBlock([["x-a", "a".repeat(4 * KIB)]]))),
      ),
  ],
  [
    "a header section that goes on in empty frames",
    () =>
      after(
        HALF_HEADERS,
        times(MANY * 5, () => frame(TYPE.continuation, 0, 1)),
      ),
  ],
  [
    "a body of empty frames",
    () =>
      after(
        request(1, post("/empty"), false),
        times(MANY * 5, () => frame(TYPE.data, 0, 1)),
      ),
  ],
  [
    "a body of nothing but padding",
    () =>
      after(
        request(1, post("/padded"), false),
        times(MANY * 5, () => frame(TYPE.data, FLAG.padded, 1, Buffer.from([0]))),
      ),
  ],
  [
    "requests that are refused, without end",
    () => times(MANY, (i) => request(streamOf(i), get("/", ["transfer-encoding", "chunked"]))),
  ],
];

const request1 = (more: Buffer): Buffer => Buffer.concat([request(1, get("/")), more]);

/** The server must end the connection. */
const BROKEN: readonly (readonly [name: string, bytes: Buffer])[] = [
  ["a body on stream 0", frame(TYPE.data, FLAG.endStream, 0, Buffer.from("x"))],
  ["a header section on stream 0", request(0, get("/"))],
  ["a body on a stream that was never opened", frame(TYPE.data, FLAG.endStream, 1, Buffer.from("x"))],
  ["a reset of a stream that was never opened", frame(TYPE.reset, 0, 1, CANCEL)],
  ["a reset of stream 0", frame(TYPE.reset, 0, 0, CANCEL)],
  ["a request on an even stream", request(2, get("/"))],
  ["settings cut in the middle", frame(TYPE.settings, 0, 0, Buffer.alloc(5))],
  ["settings on a stream", frame(TYPE.settings, 0, 1, Buffer.alloc(6))],
  ["an acknowledgement with content", frame(TYPE.settings, FLAG.ack, 0, Buffer.alloc(6))],
  ["a window past 2^31", settings([4, 0xffffffff])],
  ["a largest frame below 2^14", settings([5, 1])],
  ["push neither on nor off", settings([2, 2])],
  ["a ping of seven bytes", frame(TYPE.ping, 0, 0, Buffer.alloc(7))],
  ["a reset of three bytes", request1(frame(TYPE.reset, 0, 1, Buffer.alloc(3)))],
  ["a window update of three bytes", frame(TYPE.window, 0, 0, Buffer.alloc(3))],
  ["a window update of zero", frame(TYPE.window, 0, 0, uint32(0))],
  ["a window that overflows", Buffer.concat([1, 2].map(() => frame(TYPE.window, 0, 0, uint32(0x7fffffff))))],
  ["a frame larger than allowed", frame(TYPE.headers, FLAG.endHeaders, 1, Buffer.alloc(17 * KIB))],
  [
    "a push from the client",
    frame(TYPE.push, FLAG.endHeaders, 1, Buffer.concat([uint32(2), headerBlock(get("/"))])),
  ],
  ["the rest of a header section without its beginning", frame(TYPE.continuation, FLAG.endHeaders, 1)],
  [
    "another frame inside a header section",
    Buffer.concat([HALF_HEADERS, frame(TYPE.ping, 0, 0, Buffer.alloc(8))]),
  ],
  [
    "the rest of another stream's header section",
    Buffer.concat([HALF_HEADERS, frame(TYPE.continuation, FLAG.endHeaders, 3)]),
  ],
  ["more padding than content", frame(TYPE.headers, FLAG.endHeaders | FLAG.padded, 1, Buffer.from([200, 0]))],
  ["a field by number 0", frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0x80]))],
  [
    "a field by a number that means none",
    frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0xff, 0x80, 0x01])),
  ],
  [
    "a field cut in the middle",
    frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0, 5, 97])),
  ],
  [
    "a field whose length never ends",
    frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.alloc(100, 0xff)),
  ],
  [
    "a header table larger than agreed",
    frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0x3f, 0xe1, 0xff, 0x7f])),
  ],
];

async function start(config: Partial<ConfigDocument> = {}) {
  const backend = await startRecorder();
  const { port, scheduling } = await startGateway([backend.origin], config);
  return { backend, port, scheduling };
}

/** That others are served. */
async function serves(port: number): Promise<void> {
  const client = openHttp2(port);
  client.socket.write(request(1, get("/after")));
  await eventually(() => client.status(1) === 200, "an answer on a new connection");
  client.socket.destroy();
}

const reached = ({ seen }: Recorder) => seen.filter(({ line }) => !line.includes("/after"));
const over = (client: RawHttp2) => client.closed() || client.goaway();

describe("a flood of HTTP/2 frames", () => {
  const floods = FLOODS.map(([name, pieces, reads = true]) => [name, { pieces, reads }] as const);
  it.each(floods)("ends its connection: %s", async (_, { pieces, reads }) => {
    const { backend, port, scheduling } = await start();
    const client = openHttp2(port);
    if (!reads) client.socket.pause();
    const flooding = client.flood(pieces());
    if (reads) await flooding;
    else {
      await Promise.race([flooding, eventually(client.closed, "the end").catch(() => {})]);
      client.socket.resume();
    }
    await eventually(client.closed, "the end of the connection");
    await serves(port);
    expect(reached(backend).length).toBeLessThan(REQUESTS_MOST);
    expect(reached(backend).filter(({ line, complete }) => complete && line.startsWith("POST"))).toEqual([]);
    await eventually(() => scheduling.held() === 0, "the release of all that was held");
  });

  it("opens no more requests at once than the listener allows", async () => {
    let heads = 0;
    const origin = await startRawBackend((socket) =>
      socket.on("data", (chunk) => {
        const text = chunk.toString("latin1");
        heads += text.split("\r\n\r\n").length - 1;
        if (text.includes("/after"))
          socket.write(echo({ line: "GET /after", fields: [], body: "", trailers: [], complete: true }));
      }),
    );
    const { port, scheduling } = await startGateway([origin], limited({ streams: 10 }));
    const client = openHttp2(port);
    await client.flood(times(200, (i) => request(streamOf(i), get(`/${i}`))));
    await eventually(() => heads >= 10, "ten requests at the backend");
    await serves(port);
    expect(heads).toBe(11);
    expect(scheduling.held()).toBeLessThanOrEqual(10);
    client.socket.destroy();
  });

  it.each([
    [
      "fields of 20 KiB",
      headerBlock(get("/", ...Array.from({ length: 20 }, (_, i) => [`x-${i}`, "a".repeat(KIB)] as const))),
    ],
    [
      "1,000 fields",
      headerBlock(get("/", ...Array.from({ length: 1_000 }, (_, i) => [`x-${i}`, "a"] as const))),
    ],
    [
      "one field of 4 KiB, a thousand times by its number",
      Buffer.concat([
        headerBlock(get("/")),
        keptField("x-bomb", "a".repeat(4_000)),
        Buffer.alloc(1_000, 0xbe),
      ]),
    ],
    [
      "a thousand cookies",
      headerBlock(
        get("/", ...Array.from({ length: 1_000 }, () => ["cookie", "a=bcdefghijklmnopq"] as const)),
      ),
    ],
  ])("is refused as a header section: %s", async (_, block) => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    const parts = [];
    for (let at = 0; at < block.length; at += 16_000) parts.push(block.subarray(at, at + 16_000));
    const frames = parts.map((part, i) =>
      frame(
        i === 0 ? TYPE.headers : TYPE.continuation,
        (i === parts.length - 1 ? FLAG.endHeaders : 0) | (i === 0 ? FLAG.endStream : 0),
        1,
        part,
      ),
    );
    await client.flood(frames);
    await eventually(
      () => over(client) || client.reset(1) !== undefined || client.status(1) !== undefined,
      "a refusal",
    );
    if (client.status(1) !== undefined) expect(client.status(1)).toBe(431);
    await serves(port);
    expect(reached(backend)).toEqual([]);
    client.socket.destroy();
  });
});

describe("a frame that breaks the protocol", () => {
  it.each(BROKEN)("ends its connection: %s", async (_, bytes) => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(bytes);
    await eventually(client.closed, "the end of the connection");
    await serves(port);
    expect(reached(backend).every(({ line }) => line === "GET / HTTP/1.1")).toBe(true);
    expect(reached(backend).length).toBeLessThanOrEqual(1);
  });

  it.each([
    ["another second half", Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
    ["a request in place of settings", Buffer.concat([Buffer.from(PREFACE), request(1, get("/"))])],
    ["HTTP/1 behind the preface", Buffer.from(`${PREFACE}GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n`)],
  ])("ends its connection as a preface: %s", async (_, hello) => {
    const { backend, port } = await start();
    const client = openHttp2(port, hello);
    await eventually(client.closed, "the end of the connection");
    await serves(port);
    expect(reached(backend)).toEqual([]);
  });
});

describe("a stream", () => {
  it("numbered below the last one is not served", async () => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(Buffer.concat([request(5, get("/5")), request(3, get("/3"))]));
    await eventually(() => over(client) || client.status(5) === 200, "an answer to the first, or the end");
    await serves(port);
    expect(backend.seen.map(({ line }) => line)).not.toContain("GET /3 HTTP/1.1");
    client.socket.destroy();
  });
});

describe("an HTTP/2 client that is slow", () => {
  it.each([
    ["half a preface", Buffer.from("PRI * HTTP/2.0\r\n")],
    ["half a header section", Buffer.concat([Buffer.from(PREFACE), settings(), HALF_HEADERS])],
  ])("with %s is closed in the time for a header section", async (_, hello) => {
    const config = limited({ headersTimeoutMs: SHORT_MS, keepAliveMs: SHORT_MS });
    const { backend, port } = await start(config);
    const client = openHttp2(port, hello);
    await eventually(client.closed, "the end of the connection");
    expect(backend.seen).toEqual([]);
  });

  it("that asks for nothing is closed after a while", async () => {
    const { port } = await start(limited({ keepAliveMs: SHORT_MS }));
    const client = openHttp2(port);
    await eventually(client.closed, "the end of the connection");
  });

  it("that never lets its answer come holds the backend no longer than it may be silent", async () => {
    const { backend, port, scheduling } = await start(limited({ clientIdleMs: SHORT_MS }));
    const client = openHttp2(port, Buffer.concat([Buffer.from(PREFACE), settings([1, 0], [4, 0])]));
    client.socket.write(request(1, get("/")));
    await eventually(() => backend.seen.length === 1, "the request at the backend");
    await eventually(() => over(client) || client.reset(1) !== undefined, "the end of the stream");
    await eventually(() => scheduling.held() === 0, "the release");
    client.socket.destroy();
  });

  it("that stops in the middle of a body is cut off, and the request is never complete", async () => {
    const { backend, port, scheduling } = await start(limited({ clientIdleMs: SHORT_MS }));
    const client = openHttp2(port);
    client.socket.write(
      Buffer.concat([request(1, post("/slow"), false), frame(TYPE.data, 0, 1, Buffer.from("x"))]),
    );
    await eventually(
      () => over(client) || client.reset(1) !== undefined || client.status(1) === 408,
      "the end of the stream",
    );
    await eventually(() => scheduling.held() === 0, "the release");
    expect(backend.seen.filter(({ complete }) => complete)).toEqual([]);
    client.socket.destroy();
  });
});
