// HTTP/2 requests that would become something else as HTTP/1, or that no client may send: refused by stream or connection,
// and nothing of them at the backend.
import { describe, expect, it, vi } from "vitest";
import { eventually, startGateway } from "../test-support/data-path.ts";
import {
  FLAG,
  frame,
  get,
  type HeaderList,
  headerBlock,
  openHttp2,
  post,
  type RawHttp2,
  request,
  TYPE,
} from "../test-support/http2-frames.ts";
import { startRecorder } from "../test-support/recorder.ts";

/** Longer than `eventually` waits, so that it is its message that is shown. */
vi.setConfig({ testTimeout: 15_000 });

const without = (name: string) => get("/").filter((field) => field[0] !== name);
const replaced = (name: string, value: string): HeaderList =>
  get("/").map((field) => (field[0] === name ? [name, value] : field));

const REFUSED: readonly (readonly [name: string, list: HeaderList])[] = [
  ["no :method", without(":method")],
  ["no :scheme", without(":scheme")],
  ["no :path", without(":path")],
  ["no :authority and no Host", without(":authority")],
  ["an empty :path", replaced(":path", "")],
  ["an empty :method", replaced(":method", "")],
  ["two :path", [...get("/"), [":path", "/admin"]]],
  ["two :method", [[":method", "POST"], ...get("/")]],
  ["two :authority", [[":authority", "evil.example"], ...get("/")]],
  ["a pseudo field behind a field", [["x-a", "1"], ...get("/")]],
  ["a pseudo field that nobody knows", [...get("/"), [":evil", "1"]]],
  [":status", [...get("/"), [":status", "200"]]],
  ["a name with a capital letter", get("/", ["X-Upper", "1"])],
  ["connection", get("/", ["connection", "close"])],
  ["keep-alive", get("/", ["keep-alive", "timeout=5"])],
  ["proxy-connection", get("/", ["proxy-connection", "keep-alive"])],
  ["transfer-encoding", get("/", ["transfer-encoding", "chunked"])],
  ["upgrade", get("/", ["upgrade", "websocket"])],
  ["te other than trailers", get("/", ["te", "gzip"])],
  ["another Host than :authority", get("/", ["host", "evil.example"])],
  ["two Hosts", [...without(":authority"), ["host", "shop.example"], ["host", "evil.example"]]],
  ["an :authority with a user", replaced(":authority", "user@shop.example")],
  ["an :authority with a path", replaced(":authority", "shop.example/admin")],
  ["an :authority with a blank", replaced(":authority", "shop.example evil")],
  ["an :authority with a line break", replaced(":authority", "shop.example\r\nx-injected: 1")],
  ["a :path with a blank", replaced(":path", "/ HTTP/1.1")],
  [
    "a :path with a whole request",
    replaced(":path", "/ HTTP/1.1\r\nhost: shop.example\r\n\r\nGET /smuggled"),
  ],
  ["a :path with a fragment", replaced(":path", "/a#b")],
  ["a :path without a slash", replaced(":path", "admin")],
  ["a :path that is a URL of another host", replaced(":path", "http://evil.example/")],
  ["a :path with a dot segment", replaced(":path", "/a/../b")],
  ["a :path with an encoded slash", replaced(":path", "/a%2fb")],
  ["a :method with a blank", replaced(":method", "GET /smuggled HTTP/1.1")],
  ["a :method with a line break", replaced(":method", "GET\r\n")],
  ["a :scheme of another kind", replaced(":scheme", "ftp")],
  ["a :scheme with a line break", replaced(":scheme", "http\r\nx: ")],
  ["a content-length without a body", get("/", ["content-length", "5"])],
  ["a content-length that is no number", post("/", ["content-length", "five"])],
  ["a content-length with a plus", post("/", ["content-length", "+0"])],
  ["two content-lengths that differ", post("/", ["content-length", "0"], ["content-length", "5"])],
  [
    "CONNECT",
    [
      [":method", "CONNECT"],
      [":authority", "shop.example:443"],
    ],
  ],
  [":protocol without CONNECT", [...get("/"), [":protocol", "websocket"]]],
];

/** Refused, or served as if they were not there: never passed on. */
const INVALID_FIELDS: readonly (readonly [name: string, list: HeaderList])[] = [
  ["an empty name", get("/", ["", "1"])],
  ["a name with a blank", get("/", ["x a", "1"])],
  ["a name with a colon", get("/", ["x:a", "1"])],
  ["a name with a line break", get("/", ["x-a\r\nx-injected", "1"])],
  ["a name with a NUL", get("/", ["x-a\0", "1"])],
  ["a value with a line break", get("/", ["x-a", "1\r\nx-injected: 2"])],
  ["a value with a bare LF", get("/", ["x-a", "1\nx-injected: 2"])],
  ["a value with a bare CR", get("/", ["x-a", "1\rx-injected: 2"])],
  ["a value with a NUL", get("/", ["x-a", "1\0"])],
];

const REFUSALS = [400, 405, 501];

const ended = (client: RawHttp2, stream = 1) =>
  client.closed() ||
  client.goaway() ||
  client.reset(stream) !== undefined ||
  client.status(stream) !== undefined;

async function start() {
  const backend = await startRecorder();
  const { port } = await startGateway([backend.origin]);
  return { backend, port };
}

/** On a connection of its own. */
async function serves(port: number): Promise<void> {
  const client = openHttp2(port);
  client.socket.write(request(1, get("/after")));
  await eventually(() => client.status(1) === 200, "an answer on a new connection");
  client.socket.destroy();
}

describe("an HTTP/2 request", () => {
  it("is served: what a client may send reaches the backend as one request", async () => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(
      request(1, get("/x?y=z", ["x-a", "1"], ["te", "trailers"], ["cookie", "a=1"], ["cookie", "b=2"])),
    );
    await eventually(() => client.status(1) !== undefined, "an answer");
    expect(client.status(1)).toBe(200);
    expect(backend.seen).toMatchObject([{ line: "GET /x?y=z HTTP/1.1", body: "", complete: true }]);
    expect(backend.seen[0]?.fields).toEqual(
      expect.arrayContaining([
        "host: shop.example",
        "x-a: 1",
        "cookie: a=1; b=2",
        "x-forwarded-for: 127.0.0.1",
      ]),
    );
    expect(backend.faults).toEqual([]);
    client.socket.destroy();
  });

  it.each(REFUSED)("is refused: %s", async (_, list) => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(request(1, list));
    await eventually(() => ended(client), "an answer, a reset or the end");
    const status = client.status(1);
    if (status !== undefined) expect(REFUSALS).toContain(status);
    await serves(port);
    expect(backend.seen.map(({ line }) => line)).toEqual(["GET /after HTTP/1.1"]);
    client.socket.destroy();
  });

  it.each(INVALID_FIELDS)("loses a field that is not valid, or is refused: %s", async (_, list) => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(request(1, list));
    await eventually(() => ended(client), "an answer, a reset or the end");
    await serves(port);
    expect(backend.faults).toEqual([]);
    expect(backend.bytes()).not.toMatch(/x-a|x-injected|x a|x:a|\n: /);
    expect(backend.seen.filter(({ line }) => line !== "GET / HTTP/1.1")).toHaveLength(1);
    client.socket.destroy();
  });

  it.each([
    ["more than its content-length", "hello world"],
    ["less than its content-length", "hel"],
  ])("whose body is %s is never complete at the backend", async (_, body) => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    const data = frame(TYPE.data, FLAG.endStream, 1, Buffer.from(body));
    client.socket.write(Buffer.concat([request(1, post("/", ["content-length", "5"]), false), data]));
    await eventually(() => ended(client), "an answer, a reset or the end");
    expect(client.status(1)).not.toBe(200);
    await serves(port);
    expect(backend.seen.filter(({ complete }) => complete).map(({ line }) => line)).toEqual([
      "GET /after HTTP/1.1",
    ]);
    client.socket.destroy();
  });

  it("with a body that looks like a request has a body", async () => {
    const { backend, port } = await start();
    const body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    const client = openHttp2(port);
    const data = frame(TYPE.data, FLAG.endStream, 1, Buffer.from(body));
    client.socket.write(Buffer.concat([request(1, post("/"), false), data]));
    await eventually(() => client.status(1) !== undefined, "an answer");
    expect(client.status(1)).toBe(200);
    expect(backend.seen).toMatchObject([{ line: "POST / HTTP/1.1", body, complete: true }]);
    client.socket.destroy();
  });

  it("with trailers passes on none that would frame or name anything", async () => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    const trailers = headerBlock([
      ["x-sum", "42"],
      ["content-length", "50"],
      ["host", "evil.example"],
      ["x-forwarded-for", "6.6.6.6"],
      ["authorization", "Basic evil"],
    ]);
    client.socket.write(
      Buffer.concat([
        request(1, post("/"), false),
        frame(TYPE.data, 0, 1, Buffer.from("hello")),
        frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, trailers),
      ]),
    );
    await eventually(() => ended(client), "an answer, a reset or the end");
    await serves(port);
    expect(backend.bytes()).not.toMatch(/evil|6\.6\.6\.6|content-length: 50/i);
    expect(backend.faults).toEqual([]);
    client.socket.destroy();
  });

  it("that the client resets is never complete at the backend", async () => {
    const { backend, port } = await start();
    const client = openHttp2(port);
    client.socket.write(
      Buffer.concat([request(1, post("/cut"), false), frame(TYPE.data, 0, 1, Buffer.from("hello"))]),
    );
    await eventually(() => backend.seen.length === 1, "the beginning at the backend");
    client.socket.write(frame(TYPE.reset, 0, 1, Buffer.from([0, 0, 0, 8])));
    await serves(port);
    expect(backend.seen.find(({ line }) => line.includes("/cut"))).toMatchObject({ complete: false });
    client.socket.destroy();
  });
});
