// Chunked bodies that two readers could end at different places. The header section may have been forwarded when the fault
// shows; then the backend must never take what it got for a whole request.
import { describe, it } from "vitest";
import { check, type RawCase, request } from "../test-support/raw-cases.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const HEAD = request("POST /chunks", "Transfer-Encoding: chunked");
const LINE = "POST /chunks HTTP/1.1";

const refused = (rows: readonly (readonly [name: string, chunks: string])[]): RawCase[] =>
  rows.map(([name, chunks]) => ({
    name,
    sends: HEAD + chunks + SMUGGLED,
    gets: [400],
    connection: "closed",
    forwards: [],
    cut: LINE,
    hides: ["/smuggled"],
  }));

const REFUSED = refused([
  ["a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a size with a plus", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a size below zero", "-5\r\nhello\r\n0\r\n\r\n"],
  ["a blank before the size", " 5\r\nhello\r\n0\r\n\r\n"],
  ["a blank behind the size", "5 \r\nhello\r\n0\r\n\r\n"],
  ["a tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n"],
  ["no size", "\r\nhello\r\n0\r\n\r\n"],
  ["a size that is no number", "g\r\nhello\r\n0\r\n\r\n"],
  ["a size with a separator", "5_0\r\nhello\r\n0\r\n\r\n"],
  ["a size past all counting", "ffffffffffffffffff5\r\nhello\r\n0\r\n\r\n"],
  ["a size that wraps around to five", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["a row of zeros without end", `${"0".repeat(4_096)}5\r\nhello\r\n0\r\n\r\n`],
  ["a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare CR behind the size", "5\rhello\r\n0\r\n\r\n"],
  ["more data than the size says", "3\r\nhello\r\n0\r\n\r\n"],
  ["two bytes other than CRLF behind the data", "5\r\nhelloXX0\r\n\r\n"],
  ["a bare LF behind the data", "5\r\nhello\n0\r\n\r\n"],
  ["a bare LF as the end", "5\r\nhello\r\n0\n\n"],
  ["a bare LF behind the last chunk", "5\r\nhello\r\n0\r\n\n"],
  ["a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
  ["a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["a line break in a quoted extension", '5;a="\r\n0\r\n\r\n"\r\nhello\r\n0\r\n\r\n'],
  ["a NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"],
  ["extensions without end", `5${";a=b".repeat(8_192)}\r\nhello\r\n0\r\n\r\n`],
  ["a folded trailer", "5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"],
  ["a trailer with a blank before the colon", "5\r\nhello\r\n0\r\nX-A : b\r\n\r\n"],
  ["a trailer without a colon", "5\r\nhello\r\n0\r\nnonsense\r\n\r\n"],
  ["a trailer behind a bare LF", "5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"],
  ["a trailer with a NUL", "5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n"],
  ["trailers without end", `5\r\nhello\r\n0\r\n${"X-A: b\r\n".repeat(8_192)}\r\n`],
]).map((raw) => (raw.name === "trailers without end" ? { ...raw, gets: [[400, 431]] } : raw));

const taken = (name: string, chunks: string, more: Partial<RawCase> = {}): RawCase => ({
  name,
  sends: HEAD + chunks,
  gets: [200],
  connection: "open",
  forwards: [LINE],
  body: "hello",
  ...more,
});

const TAKEN: RawCase[] = [
  taken("an extension is ignored and not passed on", '5;name="va;l\\"ue";b\r\nhello\r\n0;end\r\n\r\n', {
    hides: ["name=", ";b", ";end"],
  }),
  taken("a size may have leading zeros and letters of either case", "0005\r\nhello\r\n000\r\n\r\n"),
  taken(
    "a Content-Length among the trailers frames nothing",
    "5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
    {
      hides: ["content-length: 50"],
    },
  ),
  taken(
    "a Transfer-Encoding among the trailers frames nothing",
    "5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
    {
      hides: ["gzip"],
    },
  ),
  taken("a Host among the trailers names nothing", "5\r\nhello\r\n0\r\nHost: evil.example\r\n\r\n", {
    hides: ["evil.example"],
  }),
  taken(
    "forwarding fields among the trailers are not passed on",
    "5\r\nhello\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
    {
      hides: ["6.6.6.6"],
    },
  ),
  taken(
    "credentials among the trailers are not passed on",
    "5\r\nhello\r\n0\r\nAuthorization: Basic evil\r\n\r\n",
    {
      hides: ["basic evil"],
    },
  ),
  taken(
    "a request behind the last chunk is the next one",
    `5\r\nhello\r\n0\r\n\r\n${request("POST /next", "Content-Length: 5")}hello`,
    {
      gets: [200, 200],
      forwards: [LINE, "POST /next HTTP/1.1"],
    },
  ),
  {
    name: "a body cut into single bytes is the same body",
    sends: [HEAD, ..."5\r\nhello\r\n0\r\n\r\n"],
    gets: [200],
    connection: "open",
    forwards: [LINE],
    body: "hello",
  },
];

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("a chunked body", () => {
  it.each(named(REFUSED))("is refused: %s", (_, raw) => check(raw));
  it.each(named(TAKEN))("is understood: %s", (_, raw) => check(raw));
});
