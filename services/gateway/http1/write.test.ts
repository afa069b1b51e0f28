import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addField, type Fields } from "../messages/fields.ts";
import type { ResponseHead } from "../messages/message.ts";
import type { OutgoingRequest } from "../messages/outgoing.ts";
import { BodyReader } from "./body.ts";
import { readRequestHead, readResponseHead } from "./head.ts";
import {
  type AnswerFraming,
  chunkHead,
  interimText,
  lastChunk,
  requestHeadText,
  responseHeadText,
  UnsendableError,
} from "./write.ts";

const fieldsOf = (...pairs: string[]): Fields => {
  const fields: Fields = [];
  for (let i = 0; i < pairs.length; i += 2) {
    fields.push(pairs[i] as string, (pairs[i] as string).toLowerCase(), pairs[i + 1] as string);
  }
  return fields;
};

const requestOf = (changes: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  method: "GET",
  target: "/a?b",
  authority: "h:1",
  scheme: "http",
  fields: [],
  body: null,
  bodyLength: 0,
  upgrade: null,
  fresh: false,
  client: null,
  responseHeadersMs: 1,
  tunnelIdleMs: 60_000,
  idleMs: 1,
  ...changes,
});

const headOf = (changes: Partial<ResponseHead> = {}): ResponseHead => ({
  status: 200,
  reason: "OK",
  fields: fieldsOf("date", "D"),
  bodyLength: 0,
  tunnel: false,
  ...changes,
});

const framing = (changes: Partial<AnswerFraming> = {}): AnswerFraming => ({
  method: "GET",
  version: "1.1",
  upgrade: null,
  keepAlive: true,
  chunked: false,
  ...changes,
});

/** What would end a line, or turn into something that does when it is cut down to a byte. */
const INJECTIONS = ["\r\nX: 1", "a\nb", "a\rb", "a\0b", "\u010d\u010aX: 1", "a\x7f"];

describe("a request", () => {
  it.each([
    [{}, ""],
    [{ fields: fieldsOf("X-A", "1", "x-a", "2") }, "X-A: 1\r\nx-a: 2\r\n"],
    [{ method: "POST" }, "content-length: 0\r\n"],
    [{ method: "PUT" }, "content-length: 0\r\n"],
    [{ method: "PATCH" }, "content-length: 0\r\n"],
    [{ method: "DELETE" }, ""],
    [{ method: "POST", bodyLength: 7 }, "content-length: 7\r\n"],
    [{ method: "POST", body: Buffer.from("abc"), bodyLength: 3 }, "content-length: 3\r\n"],
    [{ method: "POST", bodyLength: Number.POSITIVE_INFINITY }, "transfer-encoding: chunked\r\n"],
    [{ upgrade: "websocket" }, "upgrade: websocket\r\nconnection: upgrade\r\n"],
    [{ fields: fieldsOf("te", "trailers") }, "te: trailers\r\nconnection: te\r\n"],
  ])("of %o is written with its framing", (changes, lines) => {
    const request = requestOf(changes);
    expect(requestHeadText(request)).toBe(`${request.method} /a?b HTTP/1.1\r\nhost: h:1\r\n${lines}\r\n`);
  });

  it("never carries a second word on its framing, host or hop", () => {
    const fields = fieldsOf(
      ...["Host", "evil", "Content-Length", "9", "Transfer-Encoding", "chunked", "Connection", "x"],
      ...["Upgrade", "h2c", "Keep-Alive", "1", "Proxy-Connection", "x", "Expect", "100-continue", "Ok", "1"],
    );
    expect(requestHeadText(requestOf({ fields }))).toBe("GET /a?b HTTP/1.1\r\nhost: h:1\r\nOk: 1\r\n\r\n");
  });

  it.each(INJECTIONS)("is refused where %j stands in any part of it", (text) => {
    for (const changes of [
      { method: text },
      { target: `/${text}` },
      { authority: text },
      { upgrade: text },
      { fields: fieldsOf("x", text) },
      { fields: fieldsOf(text, "x") },
    ]) {
      expect(() => requestHeadText(requestOf(changes))).toThrow(UnsendableError);
    }
  });

  it.each([
    { method: "" },
    { method: "GET /" },
    { target: "" },
    { target: "/ HTTP/1.1" },
    { authority: "a b" },
    { fields: fieldsOf("", "x") },
    { fields: fieldsOf("a:", "x") },
    { fields: fieldsOf("a b", "x") },
  ])("of %o is refused", (changes) => {
    expect(() => requestHeadText(requestOf(changes))).toThrow(UnsendableError);
  });

  it("says which part cannot be sent, not what it holds", () => {
    expect(() => requestHeadText(requestOf({ fields: fieldsOf("x-key", "secret\n") }))).toThrow(
      "the value of x-key cannot be sent",
    );
  });
});

describe("an answer", () => {
  const INFINITY = Number.POSITIVE_INFINITY;
  it.each([
    [{ bodyLength: 12 }, {}, "content-length: 12\r\n"],
    [{ bodyLength: 0 }, {}, "content-length: 0\r\n"],
    [{ bodyLength: INFINITY }, { chunked: true }, "transfer-encoding: chunked\r\n"],
    [{ bodyLength: INFINITY }, { version: "1.0", keepAlive: false }, "connection: close\r\n"],
    [{ bodyLength: 1 }, { keepAlive: false }, "content-length: 1\r\nconnection: close\r\n"],
    [{ bodyLength: 1 }, { version: "1.0" }, "content-length: 1\r\nconnection: keep-alive\r\n"],
    [{ bodyLength: 0 }, { method: "HEAD" }, ""],
    [{ bodyLength: 9 }, { method: "HEAD" }, "content-length: 9\r\n"],
    [{ bodyLength: INFINITY }, { method: "HEAD" }, ""],
  ] as const)("%o for %o is framed", (head, how, lines) => {
    expect(responseHeadText(headOf(head), framing(how))).toBe(`HTTP/1.1 200 OK\r\ndate: D\r\n${lines}\r\n`);
  });

  it("to HEAD, or of 304, keeps the length its backend declared", () => {
    const fields = fieldsOf("date", "D", "Content-Length", "9");
    const line = "content-length: 9\r\n";
    expect(responseHeadText(headOf({ fields }), framing({ method: "HEAD" }))).toContain(line);
    expect(responseHeadText(headOf({ fields, status: 304, reason: "" }), framing())).toContain(line);
    const odd = fieldsOf("date", "D", "Content-Length", "9, 9");
    expect(responseHeadText(headOf({ fields: odd }), framing({ method: "HEAD" }))).not.toContain("9");
  });

  it("of 204 declares no length", () => {
    const fields = fieldsOf("date", "D", "Content-Length", "9");
    expect(responseHeadText(headOf({ status: 204, reason: "", fields }), framing())).toBe(
      "HTTP/1.1 204 No Content\r\ndate: D\r\n\r\n",
    );
  });

  it("that opens a tunnel names the protocol it switches to", () => {
    const head = headOf({ status: 101, reason: "", tunnel: true, fields: fieldsOf("Upgrade", "websocket") });
    const lines = "upgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    expect(responseHeadText(head, framing())).toBe(`HTTP/1.1 101 Switching Protocols\r\n${lines}`);
    const asked = framing({ upgrade: "websocket" });
    expect(responseHeadText({ ...head, fields: [] }, asked)).toBe(
      `HTTP/1.1 101 Switching Protocols\r\n${lines}`,
    );
  });

  it("never carries a second word on its framing or hop", () => {
    const fields = fieldsOf(
      ...["Date", "D", "Content-Length", "9", "Transfer-Encoding", "chunked", "Connection", "x"],
      ...["Upgrade", "h2c", "Keep-Alive", "1", "Proxy-Connection", "x"],
    );
    expect(responseHeadText(headOf({ fields }), framing())).toBe(
      "HTTP/1.1 200 OK\r\nDate: D\r\ncontent-length: 0\r\n\r\n",
    );
  });

  it("is dated where it is not", () => {
    const text = responseHeadText(headOf({ fields: [] }), framing());
    const date = /\r\ndate: (.*)\r\n/.exec(text)?.[1] ?? "";
    expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(2_500);
    expect(date).toMatch(/GMT$/);
  });

  it.each([
    [404, "", "404 Not Found"],
    [404, "Gone Fishing", "404 Gone Fishing"],
    [799, "", "799 "],
    [200, "O\r\nX: 1", "200 OK"],
    [200, "\u010d", "200 OK"],
  ])("%i %j says %j", (status, reason, line) => {
    expect(responseHeadText(headOf({ status, reason }), framing())).toMatch(`HTTP/1.1 ${line}\r\n`);
  });

  it.each(INJECTIONS)("is refused where %j stands in a field", (text) => {
    const inValue = fieldsOf("x", text);
    const inName = fieldsOf(text, "x");
    for (const fields of [inValue, inName]) {
      expect(() => responseHeadText(headOf({ fields }), framing())).toThrow(UnsendableError);
      expect(() => interimText(103, fields)).toThrow(UnsendableError);
      expect(() => lastChunk(fields)).toThrow(UnsendableError);
    }
    const tunnel = headOf({ status: 101, tunnel: true, fields: [] });
    expect(() => responseHeadText(tunnel, framing({ upgrade: text }))).toThrow(UnsendableError);
  });

  it("may be preceded by an interim one", () => {
    expect(interimText(103, fieldsOf("Link", "</a>", "Content-Length", "3"))).toBe(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    );
  });
});

describe("trailers", () => {
  it("end a chunked body, without those that have no place there", () => {
    expect(lastChunk(null)).toBe("0\r\n\r\n");
    const trailers = fieldsOf(
      ...["Grpc-Status", "0", "Content-Length", "1", "Host", "x", "Authorization", "x", "Set-Cookie", "a"],
      ...["Transfer-Encoding", "chunked", "Content-Type", "x", "Digest", "d"],
    );
    expect(lastChunk(trailers)).toBe("0\r\nGrpc-Status: 0\r\nDigest: d\r\n\r\n");
  });
});

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?$/);
const target = fc.stringMatching(/^\/[!-~]{0,20}$/);
const endToEnd = fc
  .array(fc.tuple(token, value), { maxLength: 8 })
  .map((pairs) =>
    fieldsOf(...pairs.filter(([name]) => !/^(?:host|connection|te|date|expect|upgrade)$/i.test(name)).flat()),
  );

describe("what is written", () => {
  it("is read back as it was meant: requests", () => {
    fc.assert(
      fc.property(token, target, endToEnd, fc.nat(1_000), (method, path, fields, bodyLength) => {
        fc.pre(method !== "CONNECT");
        const text = requestHeadText(requestOf({ method, target: path, fields, bodyLength }));
        const reading = readRequestHead(text.slice(0, -4), { headers: 100 });
        expect(reading).toMatchObject({ head: { method, target: path, authority: "h:1", bodyLength } });
        const own: Fields = [];
        addField(own, "host", "h:1");
        const length = bodyLength > 0 || /^(?:POST|PUT|PATCH)$/.test(method);
        const after: Fields = [];
        if (length) addField(after, "content-length", String(bodyLength));
        if ("head" in reading) expect(reading.head.fields).toEqual([...own, ...fields, ...after]);
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it("is read back as it was meant: answers with chunks and trailers", () => {
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 30 }), { maxLength: 5 });
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 999 }),
        value,
        endToEnd,
        chunks,
        (status, reason, fields, parts) => {
          fc.pre(status !== 204 && status !== 304);
          const head = headOf({ status, reason, fields, bodyLength: Number.POSITIVE_INFINITY });
          const text = responseHeadText(head, framing({ chunked: true }));
          const reading = readResponseHead(text.slice(0, -4), { method: "GET", upgrade: null });
          expect(reading).toMatchObject({ chunked: true, keepAlive: true, head: { status } });
          const body =
            parts.map((part) => `${chunkHead(part.length)}${part}\r\n`).join("") + lastChunk(["A", "a", "1"]);
          const reader = new BodyReader();
          let read = "";
          reader.begin(Number.POSITIVE_INFINITY, true);
          reader.read(Buffer.from(body, "latin1"), 0, {
            onBody: (chunk) => {
              read += chunk.toString("latin1");
              return true;
            },
          });
          expect([reader.done, read, reader.trailers]).toEqual([true, parts.join(""), ["A", "a", "1"]]);
        },
      ),
      { seed: 5, numRuns: 500 },
    );
  });
});
