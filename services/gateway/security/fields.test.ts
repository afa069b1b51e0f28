// Fields that would become more than one, or another, at the next reader: refused, or passed on as the one value they are.
import { describe, it } from "vitest";
import { check, HOST, type RawCase, request } from "../test-support/raw-cases.ts";

/** @param lines as they stand in the header section, the first one behind Host */
const refused = (name: string, ...lines: string[]): RawCase => ({
  name,
  sends: request("GET /", ...lines) + request("GET /smuggled"),
  gets: [400],
  connection: "closed",
  forwards: [],
});

const VALUES = [
  refused("a NUL", "X-A: a\0b"),
  refused("a bare CR", "X-A: a\rb"),
  refused("a bare CR that begins a field", "X-A: a\rX-Injected: 1"),
  refused("a bare LF that begins a field", "X-A: a\nX-Injected: 1"),
  refused("LF and CR in the wrong order", "X-A: a\n\rX-Injected: 1"),
  refused("a CR at its end", "X-A: a\r"),
  refused("an escape character", "X-A: a\x1bb"),
  refused("a vertical tab", "X-A: a\x0bb"),
  refused("a form feed", "X-A: a\x0cb"),
  refused("a backspace", "X-A: a\x08b"),
  refused("DEL", "X-A: a\x7fb"),
  refused("folded with a blank", "X-A: a\r\n b"),
  refused("folded with a tab", "X-A: a\r\n\tb"),
  refused("folded, and empty on the first line", "X-A:\r\n b"),
];

const NAMES = [
  refused("a blank inside", "X A: 1"),
  refused("a blank behind", "X-A : 1"),
  refused("a tab behind", "X-A\t: 1"),
  refused("a blank before", " X-A: 1"),
  refused("empty", ": 1"),
  refused("no colon", "X-A"),
  refused("a line of blanks", "   "),
  refused("a parenthesis", "X(A: 1"),
  refused("a quote", 'X"A: 1'),
  refused("a slash", "X/A: 1"),
  refused("an at sign", "X@A: 1"),
  refused("a bracket", "X[A]: 1"),
  refused("a NUL", "X\0A: 1"),
  refused("a letter outside ASCII", "X-\xc4: 1"),
  refused("a bare CR", "X\rA: 1"),
  refused("a semicolon", "X;A: 1"),
  refused("a pseudo field of HTTP/2", ":path: /admin"),
];

const hosts = (rows: readonly (readonly [name: string, lines: string])[], next: string): RawCase[] =>
  rows.map(([name, lines]) => ({
    name,
    sends: `GET / HTTP/1.1\r\n${lines}\r\n${next}`,
    gets: [400],
    connection: next === "" ? "either" : "closed",
    forwards: [],
  }));

const HOSTS = [
  ...hosts(
    [
      ["none", ""],
      ["two", `${HOST}Host: evil.example\r\n`],
      ["two that are equal", HOST + HOST],
      ["two in different case of letters", `${HOST}host: shop.example\r\n`],
      ["a blank before the colon", "Host : shop.example\r\n"],
      ["a folded one", "Host:\r\n shop.example\r\n"],
    ],
    request("GET /smuggled"),
  ),
  ...hosts(
    [
      ["an empty one", "Host:\r\n"],
      ["a blank inside", "Host: shop example\r\n"],
      ["a list", "Host: shop.example, evil.example\r\n"],
      ["a user", "Host: user@shop.example\r\n"],
      ["a path", "Host: shop.example/admin\r\n"],
      ["a query", "Host: shop.example?a\r\n"],
      ["a fragment", "Host: shop.example#a\r\n"],
      ["a backslash", "Host: shop.example\\evil\r\n"],
      ["a port that is no number", "Host: shop.example:http\r\n"],
      ["two ports", "Host: shop.example:80:81\r\n"],
      ["an open bracket", "Host: [::1\r\n"],
      ["a quote, which would end the value of Forwarded", 'Host: a";for=6.6.6.6;x="\r\n'],
      ["a scheme", "Host: http://shop.example\r\n"],
      ["a percent-encoded line break", "Host: shop.example%0d%0aX-Injected\r\n"],
    ],
    "",
  ),
];

const kept = (name: string, line: string, field: string): RawCase => ({
  name,
  sends: request("GET /", line),
  gets: [200],
  connection: "open",
  forwards: ["GET / HTTP/1.1"],
  passes: [field],
});

const KEPT: RawCase[] = [
  kept("bytes above ASCII", "X-A: caf\xe9", "x-a: caf\xe9"),
  kept("blanks and tabs inside", "X-A: \t a \t b \t ", "x-a: a \t b"),
  kept("an empty one", "X-A:", "x-a: "),
  kept("a percent-encoded line break", "X-A: a%0d%0aX-Injected: 1", "x-a: a%0d%0aX-Injected: 1"),
  kept("a backslash and letters", "X-A: a\\r\\nX-Injected: 1", "x-a: a\\r\\nX-Injected: 1"),
  kept("colons", "X-A:: b: c", "x-a: : b: c"),
  kept("every character a name may have", "!#$%&'*+-.^_`|~09azAZ: 1", "!#$%&'*+-.^_`|~09azaz: 1"),
  {
    name: "a percent-encoded line break in the query",
    sends: request("GET /?a%0d%0aX-Injected:%201"),
    gets: [200],
    connection: "open",
    forwards: ["GET /?a%0d%0aX-Injected:%201 HTTP/1.1"],
    hides: ["\r\nx-injected"],
  },
];

const named = (cases: readonly RawCase[]) => cases.map((raw) => [raw.name, raw] as const);

describe("a field's value", () => {
  it.each(named(VALUES))("is refused: %s", (_, raw) => check(raw));
  it.each(named(KEPT))("arrives as it is: %s", (_, raw) => check(raw));
});

describe("a field's name", () => {
  it.each(named(NAMES))("is refused: %s", (_, raw) => check(raw));
});

describe("the Host field", () => {
  it.each(named(HOSTS))("is refused: %s", (_, raw) => check(raw));
});
