import { posix } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RequestHead } from "../messages/message.ts";
import { isCanonicalPath, MAX_TARGET_LENGTH, readTarget, type TargetFault } from "./target.ts";

const read = (target: string, authority: string | null = "h.example", method = "GET") => {
  const head: RequestHead = {
    method,
    target,
    version: "1.1",
    authority,
    fields: [],
    connection: null,
    bodyLength: 0,
    upgrade: null,
  };
  return readTarget(head);
};

const fault = (read: object): TargetFault | null => ("status" in read ? (read as TargetFault) : null);

describe("request target", () => {
  it.each([
    ["/", "/", "/"],
    ["/a/b?x=1", "/a/b", "/a/b?x=1"],
    ["/a?/../%2f\\", "/a", "/a?/../%2f\\"],
    ["/a?100%", "/a", "/a?100%"],
    ["/a/.../b", "/a/.../b", "/a/.../b"],
    ["/.well-known/x", "/.well-known/x", "/.well-known/x"],
    ["/a%20b", "/a%20b", "/a%20b"],
    ["/caf%C3%A9", "/caf%C3%A9", "/caf%C3%A9"],
    ["/a%7Eb?%7e", "/a~b", "/a~b?%7e"],
    ["/%61dmin/x", "/admin/x", "/admin/x"],
    ["/caf%c3%a9", "/caf%C3%A9", "/caf%C3%A9"],
    ["/a%2eb", "/a.b", "/a.b"],
    ["/100%25", "/100%25", "/100%25"],
    ["/a%2520b", "/a%2520b", "/a%2520b"],
    ["//a", "//a", "//a"],
    ["/a//b", "/a//b", "/a//b"],
    ["http://h.example/a?b", "/a", "/a?b"],
    ["HTTP://H.EXAMPLE/a", "/a", "/a"],
    ["https://h.example/a", "/a", "/a"],
    ["http://h.example", "/", "/"],
    ["http://h.example?q", "/", "/?q"],
  ])("%s is matched as %s and forwarded so", (url, path, forwarded) => {
    expect(read(url)).toMatchObject({ path, forwarded, host: "h.example", authority: "h.example" });
  });

  it.each([
    "/a/../b",
    "/..",
    "/.",
    "/a/./b",
    "/a/%2e%2e/b",
    "/a/%2E./b",
    "/a/.%2e",
    "/a/..;/b",
    "/a/..%3bx/b",
    "/a/..%20",
    "/a/..%23",
    "/a/..%3fx",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%5Cb",
    "/a%00",
    "/a%0d%0aX:1",
    "/a%7f",
    "/a%252e%252e/b%252f",
    "/a/%252e%252e/b",
    "/a/%25%32%65%25%32%65/b",
    "/a%252fb",
    "/a%2500",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%u0041",
    "/a\\b",
    "/a\\..\\b",
    "/a#b",
    "/a?x#b",
    "/a\x01",
    "/a b",
    "/a\x7f",
    "/a?\x00",
    "/caf\xe9",
    "/a?caf\xe9",
    "",
    "*",
    "a",
    "h.example:80",
    "ftp://h.example/a",
    "https://h.example:443/a",
    "http://other.example/a",
    "http://h.example:81/a",
    "http://user@h.example/a",
    "http://h.example@other.example/a",
    "http:/h.example/a",
  ])("%j is refused", (url) => {
    expect(fault(read(url))).toMatchObject({ status: 400 });
  });

  it("OPTIONS * is answered here, and the authority of a CONNECT is no target", () => {
    expect(fault(read("*", "h.example", "OPTIONS"))?.text).toContain("OPTIONS *");
    expect(fault(read("h.example:443", "h.example:443", "CONNECT"))).toMatchObject({ status: 400 });
  });

  it("a target that is too long is told so, whole URLs by their path", () => {
    const longest = `/${"a".repeat(MAX_TARGET_LENGTH - 1)}`;
    expect(fault(read(longest))).toBeNull();
    expect(fault(read(`https://h.example${longest}`))).toBeNull();
    expect(fault(read(`${longest}a`))).toMatchObject({ status: 414 });
    expect(fault(read(`/?${"a".repeat(MAX_TARGET_LENGTH)}`))).toMatchObject({ status: 414 });
    expect(fault(read(`http://h.example${longest}a`))).toMatchObject({ status: 414 });
    expect(fault(read(`x${longest.repeat(2)}`))).toMatchObject({ status: 414 });
  });

  it.each([
    ["Shop.Example.COM", "shop.example.com"],
    ["shop.example.com:8080", "shop.example.com"],
    ["shop.example.com.", "shop.example.com"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:8080", "[::1]"],
    ["my_host", "my_host"],
  ])("Host %s is matched as %s", (written, host) => {
    expect(read("/", written)).toMatchObject({ host, authority: written });
  });

  it.each(["", "a b", "a/b", "a,b", "user@a", 'a"b', "a:b", "a:123456", "[zz]", "::1", "a;b", "a\xe9"])(
    "Host %j is refused",
    (written) => {
      expect(fault(read("/", written))?.text).toContain("not a valid host");
    },
  );

  it("a missing Host is refused", () => {
    expect(fault(read("/", null))?.text).toContain("missing");
  });
});

/** What hides in paths, in pieces. */
const PIECES = [
  ...[
    "/",
    "/",
    "..",
    ".",
    "a",
    "b",
    ";",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "%25",
    "2e",
    "2f",
    "5c",
    "%32",
    "%65",
    "%66",
  ],
  ...[
    "%00",
    "%0a",
    "%09",
    "%20",
    "%3b",
    "%3f",
    "%23",
    "\\",
    "//",
    "%c0%af",
    "%25252e",
    "secret",
    "@",
    ":",
    "%3a",
  ],
];

const once = (path: string): string =>
  path.replaceAll(/%([0-9a-f]{2})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));

describe("a path that passes", () => {
  it("stays under its prefix, however often it is decoded and whoever normalises it", () => {
    const rest = fc.array(fc.constantFrom(...PIECES), { maxLength: 10 });
    let passed = 0;
    fc.assert(
      fc.property(rest, (pieces) => {
        const path = `/app/one/${pieces.join("")}`;
        const target = read(path);
        if ("status" in target) return;
        passed += 1;
        expect(read(target.forwarded)).toEqual(target);
        for (const text of [target.path, once(target.path), once(once(target.path))]) {
          const seen = [posix.normalize(text), posix.normalize(text.replaceAll("\\", "/"))];
          seen.push(new URL(`http://h${text}`).pathname);
          for (const one of seen) expect(`${one}/`, `${path} read as ${text}`).toMatch(/^\/app\/one\//);
        }
      }),
      { seed: 7, numRuns: 20_000 },
    );
    expect(passed).toBeGreaterThan(1_000);
  });

  it("is the same for routing and for rewriting", () => {
    const rest = fc.array(fc.constantFrom(...PIECES), { maxLength: 8 });
    fc.assert(
      fc.property(rest, (pieces) => {
        const path = `/${pieces.join("")}`;
        expect(isCanonicalPath(path)).toBe(fault(read(path)) === null);
      }),
      { seed: 8, numRuns: 2_000 },
    );
  });
});
