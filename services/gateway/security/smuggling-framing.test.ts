// Requests whose length two readers could understand differently: refused before anything of them reaches a backend.
import { describe, it } from "vitest";
import { check, post, type RawCase, request } from "../test-support/raw-cases.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const CHUNKED = `5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`;

/** Refused with that status, nothing forwarded, and what follows is not read as a request. */
const refused = (status: number, rows: readonly (readonly [name: string, fields: string[]])[]): RawCase[] =>
  rows.map(([name, fields]) => ({
    name,
    sends: post(fields, CHUNKED),
    gets: [status],
    connection: "closed",
    forwards: [],
  }));

const taken = (name: string, fields: string[], body: string): RawCase => ({
  name,
  sends: post(fields, body),
  gets: [200],
  connection: "open",
  forwards: ["POST / HTTP/1.1"],
  body: "hello",
});

const LENGTHS = refused(400, [
  ["both Content-Length and Transfer-Encoding", ["Content-Length: 6", "Transfer-Encoding: chunked"]],
  ["both, the other way round", ["Transfer-Encoding: chunked", "Content-Length: 6"]],
  ["both, with a length of zero", ["Content-Length: 0", "Transfer-Encoding: chunked"]],
  ["two lengths that differ", ["Content-Length: 5", "Content-Length: 6"]],
  ["two lengths that are equal", ["Content-Length: 5", "Content-Length: 5"]],
  ["a list of equal lengths", ["Content-Length: 5, 5"]],
  ["a list of lengths that differ", ["Content-Length: 5, 6"]],
  ["a length with a plus", ["Content-Length: +5"]],
  ["a length below zero", ["Content-Length: -5"]],
  ["a length in hexadecimal", ["Content-Length: 0x5"]],
  ["a length with a blank inside", ["Content-Length: 5 5"]],
  ["an empty length", ["Content-Length:"]],
  ["a length with a parameter", ["Content-Length: 5;q=1"]],
  ["a length with an exponent", ["Content-Length: 1e1"]],
  ["a length with a fraction", ["Content-Length: 5.0"]],
  ["a length of digits of another script", ["Content-Length: \xb2"]],
  ["a length past all counting", ["Content-Length: 99999999999999999999"]],
  ["a length that wraps around to five", ["Content-Length: 18446744073709551621"]],
  ["a length behind a vertical tab", ["Content-Length: \x0b5"]],
  ["a quoted length", ['Content-Length: "5"']],
  ["a length with an underscore as separator of thousands", ["Content-Length: 1_0"]],
]);

const CODINGS = [
  ...refused(400, [
    ["identity", ["Transfer-Encoding: identity"]],
    ["chunked before identity", ["Transfer-Encoding: chunked, identity"]],
    ["chunked before gzip", ["Transfer-Encoding: chunked, gzip"]],
    ["gzip alone", ["Transfer-Encoding: gzip"]],
    ["a name that ends in chunked", ["Transfer-Encoding: xchunked"]],
    ["chunked twice in a list", ["Transfer-Encoding: chunked, chunked"]],
    ["chunked twice in two fields", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
    [
      "chunked, then identity in a second field",
      ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ],
    ["chunked, then an empty field", ["Transfer-Encoding: chunked", "Transfer-Encoding:"]],
    ["chunked with a parameter", ["Transfer-Encoding: chunked;q=1"]],
    ["quoted chunked", ['Transfer-Encoding: "chunked"']],
    ["chunked with a dot", ["Transfer-Encoding: chunked."]],
    ["chunked behind a vertical tab", ["Transfer-Encoding: \x0bchunked"]],
    ["chunked and a NUL", ["Transfer-Encoding: chunked\0"]],
    ["a blank before the colon", ["Transfer-Encoding : chunked"]],
    ["a tab before the colon", ["Transfer-Encoding\t: chunked"]],
    ["a folded field", ["X-Fold: a\r\n Transfer-Encoding: chunked"]],
    ["a value on a folded line", ["Transfer-Encoding:\r\n chunked"]],
    ["a field behind a bare LF", ["X-Bare: a\nTransfer-Encoding: chunked"]],
    ["a field behind a bare CR", ["X-Bare: a\rTransfer-Encoding: chunked"]],
    ["a NUL in the name", ["Transfer-\0Encoding: chunked"]],
  ]),
  ...refused(501, [
    ["gzip before chunked", ["Transfer-Encoding: gzip, chunked"]],
    ["a coding nobody knows before chunked", ["Transfer-Encoding: cow, chunked"]],
  ]),
  {
    name: "chunked in HTTP/1.0",
    sends: `POST / HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
    gets: [400],
    connection: "closed",
    forwards: [],
  } satisfies RawCase,
];

const UNDERSTOOD: RawCase[] = [
  taken("a length with leading zeros is the number", ["Content-Length: 0005"], "hello"),
  taken("a length behind a tab is the number", ["Content-Length:\t5\t"], "hello"),
  taken(
    "chunked behind a tab, in any case of letters",
    ["Transfer-Encoding:\tChUnKeD"],
    "5\r\nhello\r\n0\r\n\r\n",
  ),
  {
    name: "an underscore in place of the hyphen frames nothing: what follows is the next request",
    sends: request("POST /", "Content_Length: 5", "Transfer_Encoding: chunked") + CHUNKED,
    gets: [200, 400],
    connection: "closed",
    forwards: ["POST / HTTP/1.1"],
    body: "",
  },
  {
    name: "a length on a GET is the length of its body",
    sends: `${request("GET /", "Content-Length: 5")}hello`,
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    body: "hello",
  },
  {
    name: "chunks of a GET are its body",
    sends: `${request("GET /", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`,
    gets: [200],
    connection: "open",
    forwards: ["GET / HTTP/1.1"],
    body: "hello",
  },
  {
    name: "a length on a HEAD is the length of its body, and the next request comes behind it",
    sends: `${request("HEAD /", "Content-Length: 5")}hello${request("HEAD /2")}`,
    gets: [200, 200],
    connection: "open",
    forwards: ["HEAD / HTTP/1.1", "HEAD /2 HTTP/1.1"],
    bodiless: true,
  },
  {
    name: "a body that looks like a request is a body",
    sends: request("POST /", `Content-Length: ${SMUGGLED.length}`) + SMUGGLED,
    gets: [200],
    connection: "open",
    forwards: ["POST / HTTP/1.1"],
    body: SMUGGLED,
  },
];

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("the length of a request", () => {
  it.each(named(LENGTHS))("is refused: %s", (_, raw) => check(raw));
  it.each(named(UNDERSTOOD))("%s", (_, raw) => check(raw));
});

describe("the Transfer-Encoding of a request", () => {
  it.each(named(CODINGS))("is refused: %s", (_, raw) => check(raw));
});
