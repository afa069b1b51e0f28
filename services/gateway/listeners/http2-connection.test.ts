import { describe, expect, it } from "vitest";
import type { Incoming } from "../messages/incoming.ts";
import { answer } from "../test-support/http-listener.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headerBlock,
  http2Client,
  rawHttp2,
  until,
} from "../test-support/http2.ts";
import { startHttp2 } from "../test-support/http2-server.ts";

const INTERNAL_ERROR = 2;
const CANCEL = 8;

const head = (bodyLength: number, fields: string[] = []) => ({
  ...{ status: 200, reason: "", tunnel: false },
  ...{ bodyLength, fields },
});

type FieldList = readonly (readonly [string, string])[];
const without = (name: string): FieldList => GET.filter(([key]) => key !== name);
const POST: FieldList = [[":method", "POST"], ...without(":method")];

type Request = Record<string, string | string[] | number>;

/** One request by node's client, and all that came of it. */
async function ask(port: number, headers: Request, body: Buffer | string | null = null) {
  const client = http2Client(port);
  const stream = client.request(headers, { endStream: body === null });
  const got = {
    headers: {} as Request,
    raw: [] as string[],
    interim: [] as Request[],
    body: "",
    trailers: {} as Request,
  };
  stream.setEncoding("latin1");
  stream.on("response", (headers, _flags, raw) => Object.assign(got, { headers, raw }));
  stream.on("headers", (headers) => got.interim.push(headers as Request));
  stream.on("trailers", (trailers) => Object.assign(got, { trailers }));
  stream.on("data", (text: string) => {
    got.body += text;
  });
  if (body !== null) stream.end(body);
  await new Promise<void>((resolve, reject) => {
    stream.on("error", reject).on("close", resolve);
  });
  client.close();
  return got;
}

describe("an HTTP/2 request", () => {
  it("arrives with its fields in their order, repeated ones too, and its cookies as one", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming));
    const client = rawHttp2(server.port);
    const fields = [
      ...GET.slice(0, 3),
      [":path", "/a?b=c"],
      ["x-b", "1"],
      ["cookie", "a=1"],
      ["x-a", "é"],
      ["x-b", "2"],
      ["cookie", "b=2"],
    ] as [string, string][];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(fields)));
    await until(() => client.of(1).length === 2);
    expect(server.requests[0]?.incoming.head).toEqual({
      ...{ method: "GET", target: "/a?b=c", version: "2", authority: "a.example" },
      fields: ["x-b", "x-b", "1", "cookie", "cookie", "a=1; b=2", "x-a", "x-a", "é", "x-b", "x-b", "2"],
      ...{ connection: null, bodyLength: 0, upgrade: null },
    });
  });

  it("has a body of the declared length, or of one that only its end tells, and trailers", async () => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = http2Client(server.port);
    client.request({ ":method": "POST", "content-length": 5 }).end("12345");
    const stream = client.request({ ":method": "POST" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("123");
    await until(() => server.requests.length === 2 && server.requests.every(({ told }) => told.length > 0));
    expect(server.requests.map(({ incoming }) => incoming.head.bodyLength)).toEqual([
      5,
      Number.POSITIVE_INFINITY,
    ]);
    expect(server.requests.map(({ body }) => Buffer.concat(body).toString())).toEqual(["12345", "123"]);
    expect(server.requests.map(({ told }) => told)).toEqual([["end null"], ['end ["x-sum","x-sum","7"]']]);
  });

  it("sends of its body no more than a window until it is read, and all of it then", async () => {
    const server = await startHttp2(() => {});
    const client = http2Client(server.port);
    const stream = client.request({ ":method": "POST" });
    const body = Buffer.alloc(1_000_000, "x");
    stream.end(body);
    await until(() => server.requests.length === 1);
    await until(() => (client.state.remoteWindowSize ?? 0) < 1_000_000 && stream.bufferSize > 0);
    const [request] = server.requests;
    expect(request?.body).toEqual([]);
    expect(stream.bufferSize).toBeGreaterThan(800_000);
    request?.incoming.read();
    await until(() => (request?.body.length ?? 0) > 0);
    request?.incoming.pauseReading();
    const before = request?.body.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(request?.body.length).toBe(before);
    request?.incoming.read();
    await until(() => request?.told.length === 1);
    expect(Buffer.concat(request?.body ?? [])).toHaveLength(body.length);
  });

  it.each([
    ["with a body", POST, "body"],
    ["without one", GET, null],
  ])("%s ends once, however often it is read", async (_, fields, body) => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS | (body === null ? END_STREAM : 0), 1, headerBlock(fields)));
    if (body !== null) client.send(frame("DATA", END_STREAM, 1, Buffer.from(body)));
    await until(() => server.requests.length === 1);
    const [request] = server.requests;
    request?.incoming.read();
    request?.incoming.read();
    await until(() => request?.told.length === 1);
    request?.incoming.read();
    client.send(frame("HEADERS", END_HEADERS | END_STREAM, 3, headerBlock(GET)));
    await until(() => server.requests.length === 2);
    expect(request?.told).toEqual(["end null"]);
  });

  it("that expects 100-continue gets it when its body is wanted, and not with an early answer", async () => {
    const server = await startHttp2(({ incoming }) => {
      if (incoming.head.target === "/early") answer(incoming, 403, "no");
      else incoming.read();
    });
    const client = http2Client(server.port);
    const wanted = client.request({ ":method": "POST", expect: "100-continue" });
    await new Promise((resolve) => wanted.on("continue", resolve));
    wanted.end("body");
    await until(() => server.requests[0]?.told.length === 1);
    let continued = false;
    const early = client.request({ ":method": "POST", ":path": "/early", expect: "100-continue" });
    early.on("continue", () => {
      continued = true;
    });
    await new Promise((resolve) => early.on("response", resolve));
    expect(continued).toBe(false);
  });

  it.each([
    ["cancels", CANCEL, "CANCEL"],
    ["resets without an error", 0, "NO_ERROR"],
  ])("that the client %s is not whole but gone, once", async (_, code, name) => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    client.send(frame("DATA", 0, 1, Buffer.from("part")));
    await until(() => server.requests[0]?.body.length === 1);
    client.send(frame("RST_STREAM", 0, 1, Buffer.from([0, 0, 0, code])));
    await until(() => server.requests[0]?.told.length === 1);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(GET)));
    await until(() => server.requests.length === 2);
    expect(server.requests[0]?.told).toEqual([`gone: the stream was closed: ${name}`]);
  });

  it("is gone when the connection breaks", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => server.requests.length === 1);
    client.socket.resetAndDestroy();
    await until(() => server.requests[0]?.told.length === 1);
    expect(server.requests[0]?.told[0]).toContain("gone");
  });
});

describe("an HTTP/2 answer", () => {
  it("has its fields in their order, repeated ones too, its length and its body", async () => {
    const fields = ["Set-Cookie", "set-cookie", "a=1", "x-a", "x-a", "é", "Set-Cookie", "set-cookie", "b=2"];
    const server = await startHttp2(({ incoming }) =>
      answer(incoming, 201, "whole", [...fields, "date", "date", "d"]),
    );
    const got = await ask(server.port, { ":path": "/" });
    expect(got.raw).toEqual([
      ...[":status", "201", "set-cookie", "a=1", "x-a", "é", "set-cookie", "b=2", "date", "d"],
      ...["content-length", "5"],
    ]);
    expect(got.body).toBe("whole");
  });

  it("to HEAD declares the length that a body would have, and 204 none", async () => {
    const server = await startHttp2(({ incoming }) => {
      const status = incoming.head.target === "/none" ? 204 : 200;
      incoming.sendHead({ ...head(0, ["content-length", "content-length", "42"]), status });
      incoming.end(null);
    });
    expect((await ask(server.port, { ":method": "HEAD" })).headers["content-length"]).toBe("42");
    expect((await ask(server.port, { ":path": "/none" })).headers[":status"]).toBe(204);
  });

  it("without a body is one frame, and so is one that consists of trailers only", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head(Number.POSITIVE_INFINITY, ["grpc-status", "grpc-status", "5"]));
      incoming.end(null);
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).length > 0);
    expect(client.of(1)).toEqual([`HEADERS ${END_STREAM | END_HEADERS}`]);
  });

  it.each([
    ["of unknown length", head(Number.POSITIVE_INFINITY)],
    ["of gRPC with a length", head(4, ["content-type", "content-type", "application/grpc+proto"])],
    ["that announces them", head(4, ["trailer", "trailer", "x-sum"])],
  ])("%s ends with its trailers", async (_, head) => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head);
      incoming.write(Buffer.from("body"));
      incoming.end(["x-sum", "x-sum", "7", "x-sum", "x-sum", "8"]);
    });
    const got = await ask(server.port, {});
    expect(got.body).toBe("body");
    expect(got.trailers).toMatchObject({ "x-sum": "7, 8" });
  });

  it("may have 100 KiB of fields; with more than can be sent it is reset, and the process goes on", async () => {
    const server = await startHttp2(({ incoming }) => {
      const size = incoming.head.target === "/more" ? 300 : 100;
      answer(
        incoming,
        200,
        "ok",
        Array(size)
          .fill(["x-a", "x-a", "\x7e".repeat(1_024)])
          .flat(),
      );
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).includes(`DATA ${END_STREAM}`));
    const more: FieldList = [...without(":path"), [":path", "/more"]];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(more)));
    await until(client.closed);
    expect(client.of(3).filter((one) => one.startsWith("DATA"))).toEqual([]);
    expect(server.requests[1]?.told.length).toBeLessThan(2);
  });

  it("may follow interim answers", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendInterim(103, ["link", "link", "</a>", "link", "link", "</b>"]);
      answer(incoming);
    });
    const got = await ask(server.port, {});
    expect(got.interim).toMatchObject([{ ":status": 103, link: "</a>, </b>" }]);
    expect(got.body).toBe("ok");
  });

  it("with a status or fields that HTTP/2 does not know is not sent as if it did", async () => {
    const server = await startHttp2(({ incoming }) => {
      if (incoming.head.target === "/999") answer(incoming, 999, "odd");
      else answer(incoming, 200, "odd", ["connection", "connection", "close"]);
    });
    expect((await ask(server.port, { ":path": "/999" })).headers[":status"]).toBe(502);
    await expect(ask(server.port, { ":path": "/" })).rejects.toThrow("INTERNAL_ERROR");
  });

  it("waits for a client that reads slowly, and goes on when it reads", async () => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    const full: boolean[] = [];
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head(Number.POSITIVE_INFINITY));
      for (let i = 0; i < 4; i += 1) full.push(!incoming.write(chunk));
    });
    const client = http2Client(server.port);
    const stream = client.request({});
    await until(() => full.length === 4);
    expect(full).toContain(true);
    expect(server.requests[0]?.told).toEqual([]);
    stream.resume();
    await until(() => server.requests[0]?.told.includes("drain") ?? false);
  });

  it("that comes before the end of the request's body arrives whole, and then stops the body", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming, 413, "too large"));
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => client.resets().length === 1);
    expect(client.of(1)).toEqual([`HEADERS ${END_HEADERS}`, `DATA ${END_STREAM}`, "RST_STREAM 0"]);
    expect(client.resets()).toEqual([0]);
  });
});

describe("an answer that is cut off", () => {
  const cuts: [string, number, (incoming: Incoming) => void][] = [
    ["of known length, at once", 100, (incoming) => incoming.abort()],
    ["of known length, later", 100, (incoming) => setImmediate(() => setImmediate(() => incoming.abort()))],
    ["of unknown length", Number.POSITIVE_INFINITY, (incoming) => setImmediate(() => incoming.abort())],
  ];
  it.each(cuts)("%s never looks whole", async (_, bodyLength, cut) => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head(bodyLength));
      incoming.write(Buffer.from("part"));
      cut(incoming);
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.resets().length > 0);
    expect(client.resets()).toEqual([INTERNAL_ERROR]);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
    expect(server.requests[0]?.told).toEqual([]);
  });

  it("with its connection never looks whole", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head(100));
      incoming.write(Buffer.from("part"));
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).length === 2);
    server.connections[0]?.destroy();
    await until(client.closed);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
    expect(server.requests[0]?.told[0]).toContain("gone");
  });
});

describe("a WebSocket over HTTP/2", () => {
  const CONNECT = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/chat",
    ":authority": "h",
  };

  it("is asked for like an upgrade of HTTP/1 and becomes a tunnel both ways", async () => {
    const server = await startHttp2((seen) => {
      const { incoming } = seen;
      const fields = ["sec-websocket-accept", "sec-websocket-accept", "x", "x-a", "x-a", "1"];
      incoming.sendHead({
        status: 101,
        reason: "",
        fields,
        bodyLength: Number.POSITIVE_INFINITY,
        tunnel: true,
      });
      incoming.flush();
      incoming.read();
      seen.onClientData = (chunk) => incoming.write(chunk);
      seen.onClientEnd = () => incoming.end(null);
    });
    const client = http2Client(server.port);
    await until(() => client.remoteSettings?.enableConnectProtocol === true);
    const stream = client.request({ ...CONNECT, "sec-websocket-version": "13" }, { endStream: false });
    let echoed = "";
    let status = 0;
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      expect(headers).not.toHaveProperty("sec-websocket-accept");
      expect(headers).toHaveProperty("x-a");
    });
    stream.on("data", (chunk: Buffer) => {
      echoed += chunk.toString();
    });
    stream.write("ping");
    await until(() => echoed === "ping");
    stream.end();
    await until(() => stream.closed);
    const { head } = server.requests[0]?.incoming ?? {};
    expect(head).toMatchObject({ method: "GET", target: "/chat", upgrade: "websocket", bodyLength: 0 });
    expect(head?.fields).toContain("sec-websocket-key");
    expect(status).toBe(200);
  });

  it("may be refused", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming, 403, "no"));
    const client = http2Client(server.port);
    await until(() => client.remoteSettings?.enableConnectProtocol === true);
    const stream = client.request(CONNECT, { endStream: false });
    const status = await new Promise((resolve) =>
      stream.on("response", (headers) => resolve(headers[":status"])),
    );
    expect(status).toBe(403);
    await until(() => stream.closed);
  });
});

describe("what HTTP/2 forbids", () => {
  const table: [string, FieldList, number | "reset"][] = [
    ["Connection", [...GET, ["connection", "close"]], "reset"],
    ["Transfer-Encoding", [...GET, ["transfer-encoding", "chunked"]], "reset"],
    ["Upgrade", [...GET, ["upgrade", "websocket"]], "reset"],
    ["Keep-Alive", [...GET, ["keep-alive", "timeout=5"]], "reset"],
    ["Proxy-Connection", [...GET, ["proxy-connection", "close"]], "reset"],
    ["HTTP2-Settings", [...GET, ["http2-settings", "AAMAAABk"]], 400],
    ["TE other than trailers", [...GET, ["te", "gzip"]], "reset"],
    ["names in upper case", [...GET, ["X-A", "1"]], "reset"],
    ["no method", without(":method"), "reset"],
    ["no scheme", without(":scheme"), "reset"],
    ["no path", without(":path"), "reset"],
    ["an empty path", [...without(":path"), [":path", ""]], "reset"],
    ["a path without slash", [...without(":path"), [":path", "a"]], "reset"],
    ["a path with a space", [...without(":path"), [":path", "/a b"]], "reset"],
    ["a line feed in the path", [...without(":path"), [":path", "/a\r\nx: y"]], "reset"],
    ["a version in the path", [...without(":path"), [":path", "/a HTTP/1.1"]], "reset"],
    ["a line feed in the method", [[":method", "GET / HTTP/1.1\r\nx: y"], ...without(":method")], "reset"],
    ["a space in the method", [[":method", "GET /a"], ...without(":method")], "reset"],
    ["a line feed in the authority", [[":authority", "a\r\nx: y"], ...without(":authority")], "reset"],
    ["a slash in the authority", [[":authority", "a/b"], ...without(":authority")], "reset"],
    ["an empty name", [...GET, ["", "1"]], "reset"],
    ["a second path", [...GET, [":path", "/b"]], "reset"],
    ["a second method", [[":method", "POST"], ...GET], "reset"],
    ["a second authority", [[":authority", "b.example"], ...GET], "reset"],
    ["a pseudo field of an answer", [[":status", "200"], ...GET], "reset"],
    ["an unknown pseudo field", [[":odd", "1"], ...GET], "reset"],
    ["a pseudo field after others", [["x-a", "1"], ...GET], "reset"],
    ["another Host than :authority", [...GET, ["host", "b.example"]], 400],
    ["two Hosts", [...without(":authority"), ["host", "a"], ["host", "b"]], "reset"],
    ["another scheme than of the web", [...without(":scheme"), [":scheme", "ftp"]], 400],
    [
      "CONNECT",
      [
        [":method", "CONNECT"],
        [":authority", "b:22"],
      ],
      501,
    ],
    ["a protocol without CONNECT", [...GET, [":protocol", "websocket"]], "reset"],
    ["a length that is none", [...POST, ["content-length", "1x"]], "reset"],
    ["two lengths", [...POST, ["content-length", "1"], ["content-length", "2"]], "reset"],
    ["a length and no body", [...POST, ["content-length", "1"]], "reset"],
    ["too many fields", [...GET, ...Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"] as const)], 431],
    ["too large a header section", [...GET, ["x-a", "x".repeat(16_384)]], 431],
  ];
  it.each(table)("is refused: %s", async (_, fields, refusal) => {
    const server = await startHttp2(({ incoming }) => answer(incoming));
    const client = rawHttp2(server.port);
    const block = headerBlock(fields);
    const size = 16_384;
    client.send(
      frame("HEADERS", END_STREAM | (block.length > size ? 0 : END_HEADERS), 1, block.subarray(0, size)),
      ...(block.length > size ? [frame("CONTINUATION", END_HEADERS, 1, block.subarray(size))] : []),
    );
    await until(() => client.of(1).length > 0 || client.goaways().length > 0);
    expect(server.requests.filter(({ told }) => told.length === 0)).toEqual([]);
    if (refusal === "reset") expect(client.of(1)).toEqual(["RST_STREAM 0"]);
    else expect(server.refused).toEqual([refusal]);
    // The connection is still of use.
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(GET)));
    await until(() => client.of(3).length === 2);
  });

  it("is dropped: a field whose name or value would break out of HTTP/1", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming));
    const client = rawHttp2(server.port);
    const fields: FieldList = [
      ...GET,
      ...["1\ny: 2", "1\r\ny: 2", "1\r", "1\0", "\x7f"].map((value) => ["x-a", value] as const),
      ...["x a", "x:a", "x\na", "x(a)"].map((name) => [name, "1"] as const),
      ["x-b", "2"],
    ];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(fields)));
    await until(() => client.of(1).length > 0);
    expect(server.requests.map(({ incoming }) => incoming.head.fields)).toEqual([["x-b", "x-b", "2"]]);
  });

  it("is refused: a Host beside :authority is not, when it is the same", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming));
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock([...GET, ["host", "A.example"]])));
    await until(() => client.of(1).length === 2);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ["longer", "1234"],
    ["shorter", "12"],
  ])("is refused: a body %s than declared", async (_, body) => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock([...POST, ["content-length", "3"]])));
    await until(() => server.requests.length === 1);
    client.send(frame("DATA", END_STREAM, 1, Buffer.from(body)));
    await until(() => server.requests[0]?.told.length === 1);
    expect(server.requests[0]?.told).toEqual([expect.stringContaining("gone: the stream was closed")]);
    await until(() => client.resets().length + client.goaways().length > 0);
  });
});

/** A table of what a client may do to cost us more than itself. */
describe("a flood", () => {
  const ids = (count: number) => Array.from({ length: count }, (_, i) => 2 * i + 1);
  const floods: [string, () => Buffer[]][] = [
    [
      "of streams that are reset",
      () =>
        ids(2_000).flatMap((id) => [
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET)),
          frame("RST_STREAM", 0, id, Buffer.from([0, 0, 0, CANCEL])),
        ]),
    ],
    [
      "of streams that we are made to reset",
      () =>
        ids(2_000).flatMap((id) => [
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET)),
          frame("WINDOW_UPDATE", 0, id, Buffer.alloc(4)),
        ]),
    ],
    [
      "of streams",
      () => ids(2_000).map((id) => frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET))),
    ],
    [
      "of requests that are refused",
      () =>
        ids(2_000).map((id) =>
          frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock([...GET, ["te", "x"]])),
        ),
    ],
    [
      "of CONTINUATION",
      () => [
        frame("HEADERS", END_STREAM, 1, headerBlock(GET)),
        ...Array.from({ length: 2_000 }, () =>
          frame("CONTINUATION", 0, 1, headerBlock([["x-a", "x".repeat(1_000)]])),
        ),
      ],
    ],
    [
      "of empty DATA",
      () => [
        frame("HEADERS", END_HEADERS, 1, headerBlock(POST)),
        ...Array.from({ length: 2_000 }, () => frame("DATA", 0, 1)),
      ],
    ],
    [
      "of SETTINGS",
      () => Array.from({ length: 20_000 }, () => frame("SETTINGS", 0, 0, Buffer.from([0, 3, 0, 0, 0, 9]))),
    ],
    ["of PING", () => Array.from({ length: 20_000 }, () => frame("PING", 0, 0, Buffer.alloc(8)))],
    [
      "of a SETTINGS frame with too many entries",
      () => [
        frame(
          "SETTINGS",
          0,
          0,
          Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.from([0, 3, 0, 0, 0, 9]))),
        ),
      ],
    ],
    ["of a frame larger than allowed", () => [frame("DATA", 0, 1, Buffer.alloc(100_000))]],
    [
      "of a stream window that overflows",
      () => [frame("WINDOW_UPDATE", 0, 0, Buffer.from([127, 255, 255, 255]))],
    ],
    ["of what is no HTTP/2", () => [Buffer.alloc(64, "x")]],
  ];
  const answering = new Set(["of SETTINGS", "of PING"]); // of a client that reads them they cost no more than they bring
  const reading = floods.filter(([name]) => !answering.has(name)).map((flood) => [...flood, "reading"] as const);
  it.each([
    ...floods.map((flood) => [...flood, "deaf"] as const),
    ...reading,
  ])("%s ends the connection, and what it did to the others is nothing (%3$s client)", async (_, frames, client_) => {
    const server = await startHttp2(() => {});
    const other = http2Client(server.port);
    const stream = other.request({});
    await until(() => server.requests.length === 1);
    const client = rawHttp2(server.port);
    client.socket.pause(); // nor does it read
    client.send(...frames());
    const [, flooded] = server.sockets;
    await until(() => flooded?.destroyed ?? server.sockets[1]?.destroyed ?? false);
    expect(server.requests.length).toBeLessThan(1_000);
    const [request] = server.requests;
    if (request) answer(request.incoming);
    const status = await new Promise((resolve) =>
      stream.on("response", (headers) => resolve(headers[":status"])),
    );
    expect(status).toBe(200);
  });

  it("of new streams beyond those allowed is refused as not processed", async () => {
    const server = await startHttp2(() => {}, { streams: 3 });
    const client = rawHttp2(server.port);
    client.send(...ids(5).map((id) => frame("HEADERS", END_STREAM | END_HEADERS, id, headerBlock(GET))));
    await until(() => client.resets().length === 2);
    expect(client.resets()).toEqual([7, 7]);
    expect(server.requests).toHaveLength(3);
  });
});

describe("a client that keeps a request waiting", () => {
  it("by not sending the body that is asked for is cut off", async () => {
    const server = await startHttp2(({ incoming }) => incoming.read(), { clientIdleMs: 40 });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => client.resets().length === 1);
    expect(client.resets()).toEqual([CANCEL]);
    expect(server.requests[0]?.told).toEqual(["gone: the client sent nothing for too long"]);
  });

  it("by not reading the answer is cut off, also when all of it was handed over", async () => {
    const server = await startHttp2(
      ({ incoming }) => {
        incoming.sendHead(head(Number.POSITIVE_INFINITY));
        incoming.write(Buffer.alloc(200_000));
        if (incoming.head.target === "/ended") incoming.end(null);
      },
      { clientIdleMs: 40 },
    );
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    const ended: FieldList = [...without(":path"), [":path", "/ended"]];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(ended)));
    await until(() => client.resets().length === 2);
    expect(client.resets()).toEqual([CANCEL, CANCEL]);
    expect(server.requests.map(({ told }) => told)).toEqual([
      ["gone: the client read nothing for too long"],
      [],
    ]);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
  });

  it("is not one while it is the backend that thinks", async () => {
    const server = await startHttp2(() => {}, { clientIdleMs: 20 });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    const stalled = startHttp2(({ incoming }) => incoming.read(), { clientIdleMs: 20 });
    const other = rawHttp2((await stalled).port);
    other.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => other.resets().length === 1); // as long as it takes where it would be one
    expect(server.requests[0]?.told).toEqual([]);
  });

  it("by asking nothing at all is let go after the keep-alive", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming), { keepAliveMs: 60 });
    const [silent, used] = [rawHttp2(server.port), rawHttp2(server.port)];
    used.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => silent.goaways().length > 0 && used.goaways().length > 0);
    expect(used.of(1)).toHaveLength(2);
    expect(silent.goaways()[0]).toBe(0);
    await until(() => silent.closed() && used.closed());
  });

  it("is not let go while a request is open", async () => {
    const server = await startHttp2(() => {}, { keepAliveMs: 30 });
    const [silent, used] = [rawHttp2(server.port), rawHttp2(server.port)];
    used.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(silent.closed);
    expect(used.goaways()).toEqual([]);
    const [request] = server.requests;
    if (request) answer(request.incoming);
    await until(used.closed);
    expect(used.of(1)).toHaveLength(2);
  });
});

describe("the end of a connection", () => {
  it("is told with GOAWAY at once, and comes when the answers are out", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => server.requests.length === 1);
    server.connections[0]?.endWhenAnswered();
    await until(() => client.goaways().length > 0);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(GET)));
    const [request] = server.requests;
    if (request) answer(request.incoming, 200, "late but whole");
    await until(client.closed);
    expect(client.of(1)).toEqual([`HEADERS ${END_HEADERS}`, `DATA ${END_STREAM}`]);
    expect(server.requests).toHaveLength(1);
  });

  it("is told with the first answer of a listener that closes, and comes when none is open", async () => {
    const server = await startHttp2(() => {});
    const client = http2Client(server.port);
    const first = client.request({});
    await until(() => server.requests.length === 1);
    server.endpoint.closing = true;
    let last = -1;
    client.on("goaway", (_code, lastStream) => {
      last = Math.max(last, lastStream);
    });
    const second = client.request({});
    await until(() => server.requests.length === 2);
    for (const { incoming } of server.requests) answer(incoming);
    const statuses = [first, second].map(
      (stream) => new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"]))),
    );
    expect(await Promise.all(statuses)).toEqual([200, 200]);
    for (const stream of [first, second]) stream.resume();
    await until(() => client.destroyed);
    expect(last).toBe(2 ** 31 - 1);
  });

  it("does not wait for a client that keeps its side open", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    await until(() => client.frames.length > 1);
    client.socket.allowHalfOpen = true;
    server.connections[0]?.endWhenAnswered();
    await until(() => server.sockets[0]?.destroyed ?? false);
  });

  it("by the client's side still lets the answers out", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    client.socket.allowHalfOpen = true;
    client.socket.end();
    await until(() => server.requests.length === 1);
    const [request] = server.requests;
    if (request) answer(request.incoming);
    await until(client.closed);
    expect(client.of(1)).toHaveLength(2);
  });
});
