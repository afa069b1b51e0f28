import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RequestReading, type ResponseReading, readRequestHead, readResponseHead } from "./head.ts";

const limits = { headers: 100 };
const request = (text: string) => readRequestHead(text, limits);
const accepted = (text: string): RequestReading => {
  const reading = request(text);
  if ("status" in reading) throw new Error(`refused: ${reading.text}`);
  return reading;
};
const GET = "GET / HTTP/1.1\r\nHost: h";
const POST = "POST / HTTP/1.1\r\nHost: h";
const get = (...lines: string[]) => [GET, ...lines].join("\r\n");
const post = (...lines: string[]) => [POST, ...lines].join("\r\n");

describe("a request's header section", () => {
  it("is read into method, target, version, authority and fields as written", () => {
    expect(accepted("GET /a?b=1 HTTP/1.1\r\nHoSt: h:80\r\nX-Odd:\t 1 , 2 \t\r\nx-odd: 3\r\nEmpty:")).toEqual({
      head: {
        method: "GET",
        target: "/a?b=1",
        version: "1.1",
        authority: "h:80",
        fields: [
          ...["HoSt", "host", "h:80", "X-Odd", "x-odd", "1 , 2"],
          ...["x-odd", "x-odd", "3", "Empty", "empty", ""],
        ],
        connection: null,
        bodyLength: 0,
        upgrade: null,
      },
      keepAlive: true,
      expectsContinue: false,
      chunked: false,
    });
  });

  it.each([
    ["a method nobody knows", "pUrGe-2 / HTTP/1.1\r\nHost: h"],
    ["a whole URL", "GET http://h/a HTTP/1.1\r\nHost: h"],
    ["an asterisk", "OPTIONS * HTTP/1.1\r\nHost: h"],
    ["bytes beyond ASCII in a value", `${GET}\r\nX: \xe4\xff`],
    ["tabs inside a value", `${GET}\r\nX: a\tb`],
    ["colons in a value", `${GET}\r\nX: a:b: c`],
    ["every character of a token in a name", `${GET}\r\n!#$%&'*+-.^_\`|~09Az: 1`],
    ["an empty Host, which the target's reader judges", "GET / HTTP/1.1\r\nHost:"],
    ["no Host in HTTP/1.0", "GET / HTTP/1.0"],
    ["names that every object has", `${GET}\r\n__proto__: 1\r\nconstructor: 2\r\nhasOwnProperty: 3`],
  ])("may hold %s", (_, text) => {
    expect(accepted(text).head.fields.length % 3).toBe(0);
  });

  it.each([
    ["no request line", "", 400],
    ["no target", "GET HTTP/1.1", 400],
    ["no version", "GET /", 400],
    ["two spaces before the target", "GET  / HTTP/1.1\r\nHost: h", 400],
    ["two spaces before the version", "GET /  HTTP/1.1\r\nHost: h", 400],
    ["a space at the end of the line", "GET / HTTP/1.1 \r\nHost: h", 400],
    ["a space in the target", "GET /a b HTTP/1.1\r\nHost: h", 400],
    ["a target that is no path", "GET a HTTP/1.1\r\nHost: h", 400],
    ["a URL without a host", "GET http:/// HTTP/1.1\r\nHost: h", 400],
    ["an authority as its target", "GET h:80 HTTP/1.1\r\nHost: h", 400],
    ["a tab for a space", "GET\t/ HTTP/1.1\r\nHost: h", 400],
    ["a control character in the target", "GET /\x01 HTTP/1.1\r\nHost: h", 400],
    ["a line break in the target", "GET /\n HTTP/1.1\r\nHost: h", 400],
    ["a byte beyond ASCII in the target", "GET /\xe4 HTTP/1.1\r\nHost: h", 400],
    ["a DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h", 400],
    ["a method that is no token", "G(T / HTTP/1.1\r\nHost: h", 400],
    ["a small version", "GET / http/1.1\r\nHost: h", 400],
    ["another protocol", "GET / ICY/1.1\r\nHost: h", 400],
    ["a version of many digits", "GET / HTTP/1.10\r\nHost: h", 400],
    ["version 0.9", "GET / HTTP/0.9", 505],
    ["version 1.2", "GET / HTTP/1.2\r\nHost: h", 505],
    ["the preface of HTTP/2", "PRI * HTTP/2.0", 505],
    ["CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443", 501],
    ["no Host", "GET / HTTP/1.1", 400],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nhost: h", 400],
    ["two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: h", 400],
    ["a line without a colon", get("X"), 400],
    ["an empty name", get(": x"), 400],
    ["a space before the colon", get("X : 1"), 400],
    ["a tab before the colon", get("X\t: 1"), 400],
    ["a name that is no token", get("X(: 1"), 400],
    ["a name beyond ASCII", get("\xe4: 1"), 400],
    ["a folded line", get("X: 1", " 2"), 400],
    ["a folded first line", "GET / HTTP/1.1\r\n Host: h", 400],
    ["a NUL in a value", get("X: a\0b"), 400],
    ["a control character in a value", get("X: a\x0bb"), 400],
    ["a DEL in a value", get("X: a\x7f"), 400],
    ["a bare LF in a value", get("X: a\nY: b"), 400],
    ["a bare CR in a value", get("X: a\rY: b"), 400],
    ["a bare CR at the end of a value", get("X: a\r", "Y: b"), 400],
    ["a bare CR in a name", get("X\r: a"), 400],
    ["a Content-Length that is no number", post("Content-Length: a"), 400],
    ["an empty Content-Length", post("Content-Length:"), 400],
    ["a signed Content-Length", post("Content-Length: +1"), 400],
    ["a negative Content-Length", post("Content-Length: -1"), 400],
    ["a Content-Length in hexadecimal", post("Content-Length: 0x10"), 400],
    ["a Content-Length with a space in it", post("Content-Length: 1 0"), 400],
    ["a fractional Content-Length", post("Content-Length: 1.0"), 400],
    ["a list as Content-Length", post("Content-Length: 1, 1"), 400],
    ["two different Content-Lengths", post("Content-Length: 1", "Content-Length: 2"), 400],
    ["two equal Content-Lengths", post("Content-Length: 1", "content-length: 1"), 400],
    ["a Content-Length that nobody can count", post("Content-Length: 9999999999999999"), 400],
    ["a Content-Length of many zeros", post("Content-Length: 0000000000000001"), 400],
    ["Content-Length and Transfer-Encoding", post("Content-Length: 1", "Transfer-Encoding: chunked"), 400],
    ["Transfer-Encoding and Content-Length", post("Transfer-Encoding: chunked", "Content-Length: 0"), 400],
    ["Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400],
    ["an unknown Transfer-Encoding", post("Transfer-Encoding: xchunked"), 400],
    ["an empty Transfer-Encoding", post("Transfer-Encoding:"), 400],
    ["identity as Transfer-Encoding", post("Transfer-Encoding: identity"), 400],
    ["chunked before another coding", post("Transfer-Encoding: chunked, gzip"), 400],
    ["chunked twice in a list", post("Transfer-Encoding: chunked, chunked"), 400],
    ["chunked twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400],
    ["chunked and identity", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400],
    ["chunked with a parameter", post("Transfer-Encoding: chunked;q=1"), 400],
    ["chunked in quotes", post('Transfer-Encoding: "chunked"'), 400],
    ["chunked behind a vertical tab", post("Transfer-Encoding: \x0bchunked"), 400],
    ["gzip before chunked", post("Transfer-Encoding: gzip, chunked"), 501],
    ["gzip and then chunked", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 501],
    ["another expectation", post("Content-Length: 1", "Expect: 200-ok"), 417],
    ["two expectations", post("Content-Length: 1", "Expect: 100-continue", "Expect: 100-continue"), 417],
  ])("with %s is refused", (_, text, status) => {
    expect(request(text)).toMatchObject({ status, text: expect.stringMatching(/^[a-zA-Z0-9].{10,}/) });
  });

  it("may hold as many headers as allowed, and no more", () => {
    const of = (count: number) => `GET / HTTP/1.1\r\nHost: h${"\r\nX: 1".repeat(count - 1)}`;
    expect(accepted(of(100)).head.fields).toHaveLength(300);
    expect(request(of(101))).toMatchObject({ status: 431 });
  });

  it.each([
    [post("Content-Length: 0"), 0, false],
    [post("Content-Length: 15 "), 15, false],
    [post("content-LENGTH: 007"), 7, false],
    [post("Transfer-Encoding: Chunked"), Number.POSITIVE_INFINITY, true],
    [GET, 0, false],
    [POST, 0, false],
  ])("%j frames a body of %d bytes, chunked: %s", (text, bodyLength, chunked) => {
    expect(accepted(text)).toMatchObject({ head: { bodyLength }, chunked });
  });

  it.each([
    [GET, true],
    [get("Connection: close"), false],
    [get("Connection: Close"), false],
    [get("Connection: x-a, CLOSE ,y"), false],
    [get("Connection: keep-alive", "Connection: close"), false],
    [get("Connection: closed"), true],
    [get("Connection: keep-alive"), true],
    ["GET / HTTP/1.0", false],
    ["GET / HTTP/1.0\r\nConnection: keep-alive", true],
    ["GET / HTTP/1.0\r\nConnection: Keep-Alive, close", false],
  ])("%j keeps the connection: %s", (text, keepAlive) => {
    expect(accepted(text).keepAlive).toBe(keepAlive);
  });

  it.each([
    [get("Connection: Upgrade", "Upgrade: WebSocket"), "websocket"],
    [get("Connection: keep-alive, upgrade", "Upgrade: foo/2"), "foo/2"],
    [get("Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"), "websocket"],
    [get("Upgrade: websocket"), null],
    [get("Connection: upgrade"), null],
    [get("Connection: upgrade", "Upgrade:"), null],
    [post("Connection: upgrade", "Upgrade: websocket", "Content-Length: 1"), null],
    [post("Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"), null],
    ["GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket", null],
    [get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), null],
    [get("Connection: upgrade", "Upgrade: websocket, H2C"), null],
    [get("Connection: upgrade", "Upgrade: HTTP/2.0"), null],
    [get("Connection: upgrade", "Upgrade: TLS/1.2"), null],
  ])("%j asks to switch to %s", (text, upgrade) => {
    expect(accepted(text).head.upgrade).toBe(upgrade);
  });

  it.each([
    [post("Expect: 100-Continue", "Content-Length: 1"), true],
    [post("Expect: 100-continue", "Transfer-Encoding: chunked"), true],
    [post("Expect: 100-continue"), false],
    ["POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1", false],
  ])("%j waits for 100: %s", (text, expectsContinue) => {
    expect(accepted(text).expectsContinue).toBe(expectsContinue);
  });

  it("is either read or refused, whatever it holds", () => {
    const piece = fc.constantFrom(
      ...["GET", " ", "/", "HTTP/1.1", "\r\n", "\r", "\n", "Host", ":", "h", "\0", "\t", "Content-Length"],
      ...["1", ",", "Transfer-Encoding", "chunked", "\xff", "Connection", "close", "Upgrade"],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const reading = request(pieces.join(""));
        if ("status" in reading) return [400, 417, 431, 501, 505].includes(reading.status);
        return !/[\0\r\n]/.test(reading.head.fields.join("") + reading.head.target + reading.head.method);
      }),
      { seed: 2, numRuns: 2_000 },
    );
  });
});

describe("an answer's header section", () => {
  const plain = { method: "GET", upgrade: null };
  const read = (lines: string[], asked: { method: string; upgrade: string | null } = plain) =>
    readResponseHead(lines.join("\r\n"), asked);
  const valid = (lines: string[], asked = plain): ResponseReading => {
    const reading = read(lines, asked);
    if (typeof reading === "string") throw new Error(reading);
    return reading;
  };
  const OK = "HTTP/1.1 200 OK";

  it("is read into status, reason and fields as written", () => {
    expect(valid([OK, "Content-Length: 3", "X-A:  b "])).toEqual({
      head: {
        status: 200,
        reason: "OK",
        fields: ["Content-Length", "content-length", "3", "X-A", "x-a", "b"],
        bodyLength: 3,
        tunnel: false,
      },
      interim: false,
      keepAlive: true,
      keepAliveHintMs: null,
      chunked: false,
      untilClose: false,
    });
  });

  it.each([
    ["HTTP/1.1 200", 200, ""],
    ["HTTP/1.1 200 ", 200, ""],
    ["HTTP/1.0 404 Not  Found", 404, "Not  Found"],
    ["HTTP/1.1 999 \xe4\t!", 999, "\xe4\t!"],
  ])("%j is a status line", (line, status, reason) => {
    expect(valid([line]).head).toMatchObject({ status, reason });
  });

  it.each([
    ["another version", ["HTTP/1.2 200 OK"]],
    ["HTTP/2", ["HTTP/2 200"]],
    ["another protocol", ["ICY 200 OK"]],
    ["no status", ["HTTP/1.1 OK"]],
    ["a status of two digits", ["HTTP/1.1 20 OK"]],
    ["a status of four digits", ["HTTP/1.1 2000 OK"]],
    ["a status below 100", ["HTTP/1.1 099 OK"]],
    ["two spaces before the status", ["HTTP/1.1  200 OK"]],
    ["a control character in the reason", ["HTTP/1.1 200 O\x01K"]],
    ["a bare CR in the reason", ["HTTP/1.1 200 O\rK"]],
    ["a folded line", [OK, "X: 1", " 2"]],
    ["a space before the colon", [OK, "X : 1"]],
    ["two Content-Lengths", [OK, "Content-Length: 1", "Content-Length: 1"]],
    ["a list as Content-Length", [OK, "Content-Length: 1,1"]],
    ["a signed Content-Length", [OK, "Content-Length: +1"]],
    ["Content-Length and Transfer-Encoding", [OK, "Content-Length: 1", "Transfer-Encoding: chunked"]],
    ["a coding we do not undo", [OK, "Transfer-Encoding: gzip, chunked"]],
    [
      "a coding we do not undo, in a field of its own",
      [OK, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"],
    ],
    ["a Transfer-Encoding without chunked", [OK, "Transfer-Encoding: gzip"]],
    ["Transfer-Encoding in HTTP/1.0", ["HTTP/1.0 200 OK", "Transfer-Encoding: chunked"]],
    [
      "a switch of protocols nobody asked for",
      ["HTTP/1.1 101 S", "Connection: upgrade", "Upgrade: websocket"],
    ],
    ["a body in an interim answer", ["HTTP/1.1 103 E", "Content-Length: 1"]],
    ["chunks in an interim answer", ["HTTP/1.1 103 E", "Transfer-Encoding: chunked"]],
  ])("with %s is not valid", (_, lines) => {
    expect(read(lines)).toEqual(expect.stringMatching(/.{10,}/));
  });

  it.each([
    ["GET", [OK], { bodyLength: Number.POSITIVE_INFINITY }, { untilClose: true, keepAlive: false }],
    ["GET", [OK, "Content-Length: 0"], { bodyLength: 0 }, { untilClose: false, keepAlive: true }],
    [
      "GET",
      [OK, "Transfer-Encoding: CHUNKED"],
      { bodyLength: Number.POSITIVE_INFINITY },
      { chunked: true, untilClose: false },
    ],
    ["HEAD", [OK, "Content-Length: 9"], { bodyLength: 0 }, { keepAlive: true, untilClose: false }],
    ["HEAD", [OK, "Transfer-Encoding: chunked"], { bodyLength: 0 }, { chunked: false, keepAlive: true }],
    ["HEAD", [OK], { bodyLength: 0 }, { untilClose: false, keepAlive: true }],
    ["GET", ["HTTP/1.1 304 N", "Content-Length: 9"], { bodyLength: 0 }, { keepAlive: true }],
    ["GET", ["HTTP/1.1 204 N"], { bodyLength: 0 }, { keepAlive: true, untilClose: false }],
    ["GET", ["HTTP/1.1 204 N", "Content-Length: 0"], { bodyLength: 0 }, { keepAlive: true }],
    ["GET", ["HTTP/1.1 204 N", "Content-Length: 5"], { bodyLength: 0 }, { keepAlive: false }],
    [
      "GET",
      ["HTTP/1.1 204 N", "Transfer-Encoding: chunked"],
      { bodyLength: 0 },
      { keepAlive: false, chunked: false },
    ],
    ["GET", ["HTTP/1.1 103 Early", "Link: x"], { bodyLength: 0 }, { interim: true, untilClose: false }],
    ["GET", ["HTTP/1.1 100 C"], { bodyLength: 0 }, { interim: true, keepAlive: true }],
  ])("to %s %j frames its body", (method, lines, head, reading) => {
    expect(valid(lines, { method, upgrade: null })).toMatchObject({ ...reading, head });
  });

  it.each([
    [[OK, "Content-Length: 0"], true],
    [[OK, "Content-Length: 0", "Connection: close"], false],
    [["HTTP/1.0 200 OK", "Content-Length: 0"], false],
    [["HTTP/1.0 200 OK", "Content-Length: 0", "Connection: keep-alive"], true],
  ])("%j keeps the connection: %s", (lines, keepAlive) => {
    expect(valid(lines).keepAlive).toBe(keepAlive);
  });

  it.each([
    ["timeout=5", 5_000],
    ["max=100, Timeout = 12", 12_000],
    ["timeout=9999999", 86_400_000],
    ["timeout=", null],
    ["timeout=abc", null],
    ["max=1", null],
  ])("Keep-Alive: %s hints at %s ms", (value, hint) => {
    expect(valid([OK, `Keep-Alive: ${value}`]).keepAliveHintMs).toBe(hint);
  });

  describe("that switches protocols", () => {
    const asked = { method: "GET", upgrade: "websocket" };
    const line = "HTTP/1.1 101 Switching Protocols";

    it("opens a tunnel when it was asked to", () => {
      const { head } = valid([line, "Connection: Upgrade", "Upgrade: WebSocket"], asked as never);
      expect(head).toMatchObject({ status: 101, tunnel: true, bodyLength: 0 });
    });

    it("opens none where it refuses to switch", () => {
      expect(valid([OK, "Content-Length: 0"], asked as never).head.tunnel).toBe(false);
    });

    it.each([
      ["without Connection", ["Upgrade: websocket"]],
      ["without Upgrade", ["Connection: upgrade"]],
      ["to another protocol", ["Connection: upgrade", "Upgrade: h2c"]],
      ["with a body", ["Connection: upgrade", "Upgrade: websocket", "Content-Length: 1"]],
      ["with chunks", ["Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"]],
    ])("%s is not valid", (_, lines) => {
      expect(typeof read([line, ...lines], asked)).toBe("string");
    });
  });
});
