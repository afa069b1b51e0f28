import { describe, expect, it } from "vitest";
import { answer } from "../test-support/http-listener.ts";
import {
  END_HEADERS,
  END_STREAM,
  type FieldList,
  frame,
  GET,
  headerBlock,
  POST,
  rawHttp2,
  until,
  without,
} from "../test-support/http2.ts";
import { startHttp2 } from "../test-support/http2-server.ts";

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
    ...["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "tls/1.2"].map(
      (protocol): [string, FieldList, number] => [
        `a switch to ${protocol}`,
        [[":method", "CONNECT"], ...without(":method"), [":protocol", protocol]],
        501,
      ],
    ),
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
      ...["", "x a", "x:a", "x\na", "x(a)"].map((name) => [name, "1"] as const),
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
