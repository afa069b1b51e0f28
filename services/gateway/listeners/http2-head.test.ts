import { DEFAULT_HTTP_LIMITS } from "@evenkeel/core/config/resolve-listeners.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { headerObject, mayHaveTrailers, responseHeaders } from "./http2-answer.ts";
import { readHead, readTrailers } from "./http2-head.ts";

const PSEUDO = [":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"];
const limits = { ...DEFAULT_HTTP_LIMITS, headerBytes: 200, headers: 3 };
const requestOf = (method: string) => {
  const head = readHead([":method", method, ...PSEUDO.slice(2)], true, DEFAULT_HTTP_LIMITS);
  if (typeof head === "number") throw new Error(`refused with ${head}`);
  return head;
};

describe("a header section of HTTP/2", () => {
  it("never gets past the limits, and never throws", () => {
    const text = fc.string({ maxLength: 60 });
    const name = fc.oneof(
      fc.constantFrom(...PSEUDO, ":protocol", "cookie", "host", "te", "content-length"),
      text,
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text), { maxLength: 10 }), fc.boolean(), (pairs, ended) => {
        const raw = pairs.flat();
        const head = readHead([...PSEUDO, ...raw], ended, limits);
        if (typeof head === "number") return void expect([400, 431, 501]).toContain(head);
        expect(head.fields.length / 3).toBeLessThanOrEqual(limits.headers + 1); // and the key of a WebSocket
        expect(
          head.fields.filter((_, i) => i % 3 === 1 && /^:|^connection$/.test(head.fields[i] ?? "")),
        ).toEqual([]);
        expect(head.fields.filter((name, i) => i % 3 === 1 && name === "cookie").length).toBeLessThanOrEqual(
          1,
        );
      }),
    );
  });

  it("is refused for its size by its bytes and by its count", () => {
    expect(readHead([...PSEUDO, "a", "x".repeat(200)], true, limits)).toBe(431);
    expect(readHead([...PSEUDO, "a", "1", "b", "2", "c", "3", "d", "4"], true, limits)).toBe(431);
    expect(readHead([...PSEUDO, "a", "1", "b", "2", "c", "3"], true, limits)).toMatchObject({
      authority: "a.example",
    });
  });

  it("has the authority of Host where there is no other, or none", () => {
    const bare = [...PSEUDO.slice(0, 4), ...PSEUDO.slice(6)];
    expect(readHead([...bare, "host", "b.example"], true, limits)).toMatchObject({ authority: "b.example" });
    expect(readHead(bare, true, limits)).toMatchObject({ authority: null });
  });

  it.each([
    ["0", 0],
    ["17", 17],
    ["-1", 400],
    ["1.5", 400],
    ["0x1", 400],
    ["", 400],
    ["9".repeat(30), 400],
  ])("declares a body of %j bytes: %i", (length, expected) => {
    const head = readHead([...PSEUDO, "content-length", length], false, limits);
    expect(typeof head === "number" ? head : head.bodyLength).toBe(expected);
  });

  it("of trailers is dropped as a whole past the limits", () => {
    expect(readTrailers(["a", "1"], limits)).toEqual(["a", "a", "1"]);
    expect(readTrailers(["a", "1", "b", "2", "c", "3", "d", "4"], limits)).toBe(null);
    expect(readTrailers(["a", "x".repeat(200)], limits)).toBe(null);
  });
});

describe("the header section of an answer in HTTP/2", () => {
  const head = { status: 200, reason: "OK", fields: ["A", "a", "1"], bodyLength: 3, tunnel: false };

  it.each([
    ["GET", {}, [":status", "200", "a", "1", "content-length", "3"]],
    ["GET", { bodyLength: Number.POSITIVE_INFINITY }, [":status", "200", "a", "1"]],
    ["GET", { fields: ["Content-Length", "content-length", "9"] }, [":status", "200", "content-length", "3"]],
    [
      "HEAD",
      { bodyLength: 0, fields: ["Content-Length", "content-length", "9"] },
      [":status", "200", "content-length", "9"],
    ],
    [
      "GET",
      { status: 304, bodyLength: 0, fields: ["b", "content-length", "9"] },
      [":status", "304", "content-length", "9"],
    ],
    ["GET", { status: 204, bodyLength: 0, fields: ["b", "content-length", "9"] }, [":status", "204"]],
    ["GET", { status: 205 }, [":status", "205", "a", "1"]],
    ["GET", { status: 600 }, [":status", "502", "a", "1", "content-length", "3"]],
    [
      "GET",
      { status: 101, tunnel: true, fields: ["x", "sec-websocket-accept", "y", "x", "upgrade", "websocket"] },
      [":status", "200"],
    ],
  ])("to %s with %j is %j", (method, change, expected) => {
    expect(responseHeaders({ ...head, ...change }, requestOf(method))).toEqual(expected);
  });

  it("keeps repeated fields of trailers and interim answers", () => {
    expect(headerObject(["A", "a", "1", "b", "b", "2", "a", "a", "3", "a", "a", "4"])).toEqual({
      a: ["1", "3", "4"],
      b: "2",
    });
  });

  it("keeps fields whose names mean something to JavaScript", () => {
    const fields = ["constructor", "__proto__", "tostring"].flatMap((name) => [name, name, "1"]);
    expect(Object.entries(headerObject(fields))).toEqual([
      ["constructor", "1"],
      ["__proto__", "1"],
      ["tostring", "1"],
    ]);
  });

  it.each([
    [{}, false],
    [{ bodyLength: Number.POSITIVE_INFINITY }, true],
    [{ bodyLength: 0, fields: ["t", "trailer", "x"] }, false],
    [{ fields: ["t", "trailer", "x"] }, true],
    [{ fields: ["t", "content-type", "application/grpc"] }, true],
    [{ bodyLength: Number.POSITIVE_INFINITY, tunnel: true }, false],
  ])("leaves room for trailers with %j: %s", (change, expected) => {
    expect(mayHaveTrailers({ ...head, ...change })).toBe(expected);
  });
});
