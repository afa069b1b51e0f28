import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BodyReader } from "./body.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");

interface Read {
  body: string;
  left: number;
  done: boolean;
  fault: string | null;
  trailers: string[] | null;
}

/** Reads pieces one after the other until the body is done or faulty. */
function feed(pieces: Buffer[], length = Number.POSITIVE_INFINITY, chunked = true): Read {
  const reader = new BodyReader();
  const chunks: Buffer[] = [];
  reader.begin(length, chunked);
  let read = 0;
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  for (const piece of pieces) {
    if (reader.done || reader.fault !== null) break;
    read += reader.read(piece, 0, { onBody: (chunk) => chunks.push(chunk) > 0 });
  }
  const { done, fault, trailers } = reader;
  return { body: Buffer.concat(chunks).toString("latin1"), left: total - read, done, fault, trailers };
}

const whole = (text: string) => feed([bytes(text)]);
const bytewise = (text: string) => feed([...bytes(text)].map((byte) => Buffer.of(byte)));

describe("a body of a declared length", () => {
  it("ends there, and what follows is not touched", () => {
    expect(feed([bytes("abc"), bytes("defGET")], 6, false)).toMatchObject({
      body: "abcdef",
      left: 3,
      done: true,
    });
  });

  it("of zero is done before it begins", () => {
    expect(feed([bytes("GET")], 0, false)).toMatchObject({ body: "", left: 3, done: true });
  });

  it("is handed on without a copy", () => {
    const buffer = bytes("abcdef");
    const reader = new BodyReader();
    reader.begin(4, false);
    let seen = Buffer.alloc(0);
    reader.read(buffer, 1, {
      onBody: (chunk) => {
        seen = chunk as Buffer<ArrayBuffer>;
        return true;
      },
    });
    expect(seen.toString()).toBe("bcde");
    expect(seen.buffer).toBe(buffer.buffer);
  });

  it("is not complete when the connection closes before its end", () => {
    const reader = new BodyReader();
    reader.begin(4, false);
    expect(reader.close()).toBe(false);
    expect([reader.needsMoreThan(3), reader.needsMoreThan(4)]).toEqual([true, false]);
  });
});

describe("a body until the connection closes", () => {
  it("takes everything and is complete with the close", () => {
    const reader = new BodyReader();
    reader.begin(Number.POSITIVE_INFINITY, false);
    expect(reader.read(bytes("0\r\n\r\n"), 0, { onBody: () => true })).toBe(5);
    expect(reader.done).toBe(false);
    expect(reader.close()).toBe(true);
    expect(reader.done).toBe(true);
  });
});

describe("a chunked body", () => {
  it.each([
    ["0\r\n\r\n", "", null],
    ["000\r\n\r\n", "", null],
    ["3\r\nabc\r\n0\r\n\r\n", "abc", null],
    ["3\r\na\r\n\r\n0\r\n\r\n", "a\r\n", null],
    ["0A\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", "0123456789!", null],
    ['1;a\r\nx\r\n0;b=c;d="e\\";"\r\n\r\n', "x", null],
    ["1\r\nx\r\n0\r\nA: 1\r\nb:\t2 \r\n\r\n", "x", ["A", "a", "1", "b", "b", "2"]],
  ])("%j is read", (text, body, trailers) => {
    const wanted = { body, left: 3, done: true, fault: null, trailers };
    expect(whole(`${text}GET`)).toEqual(wanted);
    expect(bytewise(`${text}GET`)).toEqual(wanted);
  });

  it.each([
    ["no size", "\r\n"],
    ["a size that is no number", "x\r\n"],
    ["a signed size", "+1\r\na\r\n"],
    ["a negative size", "-1\r\na\r\n"],
    ["a size with a prefix", "0x1\r\na\r\n"],
    ["a space before the size", " 1\r\na\r\n"],
    ["a space behind the size", "1 \r\na\r\n"],
    ["a size of too many digits", "0000000000001\r\na\r\n"],
    ["a size too large to count", "fffffffffffffffff\r\n"],
    ["a bare LF behind the size", "1\na\r\n"],
    ["a bare CR behind the size", "1\ra\r\n"],
    ["a bare LF behind the chunk", "1\r\na\n0\r\n\r\n"],
    ["a bare CR behind the chunk", "1\r\na\rx0\r\n\r\n"],
    ["a chunk shorter than its size", "2\r\na\r\n0\r\n\r\n"],
    ["a chunk longer than its size", "1\r\nab\r\n0\r\n\r\n"],
    ["an extension without a name", "1;\r\na\r\n"],
    ["an extension with a blank", "1; a\r\na\r\n"],
    ["a bare LF in an extension", "1;a\nb\r\na\r\n"],
    ["a bare CR in an extension", "1;a\rb\r\na\r\n"],
    ["a line break in a quoted extension", '1;a="\r\n"\r\na\r\n'],
    ["an empty value of an extension", "1;a=\r\na\r\n"],
    ["a NUL in an extension", "1;a\0\r\na\r\n"],
    ["more behind a quoted value", '1;a="b"c\r\na\r\n'],
    ["a bare LF for the last line", "0\r\n\n"],
    ["a bare LF behind the last size", "0\n\r\n"],
    ["a trailer without a name", "0\r\n: 1\r\n\r\n"],
    ["a folded trailer", "0\r\nA: 1\r\n 2\r\n\r\n"],
    ["a space before a trailer's colon", "0\r\nA : 1\r\n\r\n"],
    ["a bare LF in the trailers", "0\r\nA: 1\nB: 2\r\n\r\n"],
    ["a NUL in a trailer", "0\r\nA: \0\r\n\r\n"],
    ["a request instead of trailers", "0\r\nGET / HTTP/1.1\r\n\r\n"],
  ])("with %s cannot be understood", (_, text) => {
    for (const read of [whole(text), bytewise(text)]) {
      expect(read.fault).toEqual(expect.stringMatching(/.{10,}/));
      expect(read.done).toBe(false);
    }
  });

  it.each([
    ["the extensions of one chunk", `1;${"a".repeat(17_000)}`],
    ["the extensions of all chunks", `1;${"a".repeat(99)}\r\na\r\n`.repeat(170)],
    ["the trailers", `0\r\nA: ${"a".repeat(9_000)}\r\n\r\n`],
    ["the number of trailers", `0\r\n${"A: 1\r\n".repeat(101)}\r\n`],
  ])("is bounded in %s", (_, text) => {
    expect(whole(text).fault).toMatch(/too (?:long|large|many)/);
  });

  it("is not complete when the connection closes before its end", () => {
    const reader = new BodyReader();
    reader.begin(Number.POSITIVE_INFINITY, true);
    reader.read(bytes("1\r\na\r\n0\r\n"), 0, { onBody: () => true });
    expect(reader.close()).toBe(false);
  });

  it("stops behind the chunk that the sink did not want more of, and goes on later", () => {
    const reader = new BodyReader();
    const buffer = bytes("1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    const seen: string[] = [];
    const sink = { onBody: (chunk: Buffer) => seen.push(chunk.toString()) > 1 };
    reader.begin(Number.POSITIVE_INFINITY, true);
    const stopped = reader.read(buffer, 0, sink);
    expect([stopped, seen]).toEqual([4, ["a"]]);
    expect(reader.read(buffer, stopped, sink)).toBe(buffer.length);
    expect([reader.done, seen]).toEqual([true, ["a", "b"]]);
  });

  it("reads the same however it is chunked and split", () => {
    const chunk = fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).map((text) => Buffer.from(text));
    const cuts = fc.array(fc.nat(10_000), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 10 }), cuts, fc.boolean(), (chunks, places, trailing) => {
        const parts = chunks.flatMap((one) => [bytes(`${one.length.toString(16)}\r\n`), one, bytes("\r\n")]);
        const end = bytes(trailing ? "0\r\nA: 1\r\n\r\nnext" : "0\r\n\r\nnext");
        const message = Buffer.concat([...parts, end]);
        const sorted = [...new Set(places.map((place) => place % message.length))].sort((a, b) => a - b);
        const pieces = [...sorted, message.length].map((to, i) => message.subarray(sorted[i - 1] ?? 0, to));
        expect(feed(pieces)).toEqual({
          body: Buffer.concat(chunks).toString("latin1"),
          left: 4,
          done: true,
          fault: null,
          trailers: trailing ? ["A", "a", "1"] : null,
        });
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});
