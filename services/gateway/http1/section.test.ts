import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INCOMPLETE, NOT_HTTP, SectionReader, TOO_LARGE } from "./section.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");
const LIMIT = 16 * 1024;
const head = "GET / HTTP/1.1\r\nHost: h\r\nX: 1";
const whole = `${head}\r\n\r\n`;

/** Feeds pieces; answers what was found and how many bytes were left unread, or the negative answer. */
function feed(pieces: Buffer[], { limit = LIMIT, emptyLines = 2 } = {}): [string, number] | number {
  const reader = new SectionReader(limit, emptyLines);
  let left = pieces.reduce((sum, { length }) => sum + length, 0);
  for (const piece of pieces) {
    const end = reader.read(piece, 0);
    if (end >= 0) return [reader.text, left - end];
    left -= piece.length;
    if (end !== INCOMPLETE) return end;
  }
  return INCOMPLETE;
}

function split(buffer: Buffer, places: number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % buffer.length))].sort((a, b) => a - b);
  return [...cuts, buffer.length].map((end, i) => buffer.subarray(i === 0 ? 0 : cuts[i - 1], end));
}

describe("a section", () => {
  it("ends at its empty line, and what follows is not touched", () => {
    expect(feed([bytes(`${whole}more`)])).toEqual([head, 4]);
  });

  it("is found from any offset", () => {
    const reader = new SectionReader(LIMIT, 0);
    expect(reader.read(bytes(`junk${whole}more`), 4)).toBe(4 + whole.length);
    expect(reader.text).toBe(head);
  });

  it("reads the same however it is split, with the empty lines before it and what follows", () => {
    const message = bytes(`\r\n\r\n${whole}${whole}`);
    fc.assert(
      fc.property(fc.array(fc.nat(message.length - 1)), (places) => {
        expect(feed(split(message, places).filter(({ length }) => length > 0))).toEqual([head, whole.length]);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("may come byte by byte, at a cost that does not grow with what has come", () => {
    const long = bytes(`GET / HTTP/1.1\r\nX: ${"x".repeat(LIMIT - 100)}\r\n\r\n`);
    const reader = new SectionReader(LIMIT, 0);
    let touched = 0;
    const indexOf = Buffer.prototype.indexOf;
    Buffer.prototype.indexOf = function (this: Buffer, value: never, from = 0, ...rest: never[]) {
      touched += this.length - from;
      return indexOf.call(this, value, from, ...rest);
    } as typeof indexOf;
    try {
      let end = INCOMPLETE;
      for (const byte of long) end = reader.read(Buffer.of(byte), 0);
      expect(end).toBe(1);
    } finally {
      Buffer.prototype.indexOf = indexOf;
    }
    expect(touched).toBeLessThan(10 * long.length);
  });

  it("of the limit is taken, one byte more is too large, whole or in pieces", () => {
    const message = bytes(whole);
    const bytewise = [...message].map((byte) => Buffer.of(byte));
    expect(feed([message], { limit: message.length })).toEqual([head, 0]);
    expect(feed(bytewise, { limit: message.length })).toEqual([head, 0]);
    expect(feed([message], { limit: message.length - 1 })).toBe(TOO_LARGE);
    expect(feed(bytewise, { limit: message.length - 1 })).toBe(TOO_LARGE);
  });

  it("that never ends is too large as soon as the limit is reached", () => {
    expect(feed([bytes("x".repeat(100))], { limit: 100 })).toBe(TOO_LARGE);
    expect(feed([bytes("x".repeat(99))], { limit: 100 })).toBe(INCOMPLETE);
  });

  it.each([
    ["more empty lines before it than are passed over", `\r\n\r\n\r\n${whole}`],
    ["the first bytes of TLS", "\x16\x03\x01\x02\x00"],
    ["a space first", " GET"],
    ["a line break without CR", "GET / HTTP/1.1\nHost: h\n\n"],
    ["a line break first", "\nGET"],
    ["a CR first that is no line break", `\rGET / HTTP/1.1${whole}`],
  ])("is given up at once for %s", (_, text) => {
    expect(feed([bytes(text)])).toBe(NOT_HTTP);
    const bytewise = [...bytes(text)].map((byte) => Buffer.of(byte));
    expect(feed(bytewise)).toBe(NOT_HTTP);
  });

  it("has not started with empty lines only", () => {
    const reader = new SectionReader(LIMIT, 2);
    expect(reader.read(bytes("\r\n"), 0)).toBe(INCOMPLETE);
    expect(reader.started).toBe(false);
    expect(reader.read(bytes("G"), 0)).toBe(INCOMPLETE);
    expect(reader.started).toBe(true);
  });
});
