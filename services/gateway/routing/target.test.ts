import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { readTarget } from "./target.ts";

const read = (url: string, hosts: string[] = ["h.example"]) =>
  readTarget({
    url,
    headers: { host: hosts[0] },
    rawHeaders: hosts.flatMap((host) => ["Host", host]),
  } as unknown as IncomingMessage);

describe("request target", () => {
  it.each([
    ["/", "/", "/"],
    ["/a/b?x=1", "/a/b", "/a/b?x=1"],
    ["/a?/../%2f\\", "/a", "/a?/../%2f\\"],
    ["/a/.../b", "/a/.../b", "/a/.../b"],
    ["/.well-known/x", "/.well-known/x", "/.well-known/x"],
    ["/a%20b", "/a%20b", "/a%20b"],
    ["//a", "//a", "//a"],
    ["http://h.example/a?b", "/a", "/a?b"],
    ["HTTP://H.EXAMPLE/a", "/a", "/a"],
    ["http://h.example", "/", "/"],
    ["http://h.example?q", "/", "/?q"],
  ])("%s is matched and forwarded as it is", (url, path, forwarded) => {
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
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a%5Cb",
    "/a%00",
    "/a\\b",
    "/a\\..\\b",
    "/a#b",
    "/a?x#b",
    "/a\x01",
    "/a b",
    "/a\x7f",
    "/a?\x00",
    "",
    "*",
    "a",
    "h.example:80",
    "https://h.example/a",
    "http://other.example/a",
    "http://h.example:81/a",
    "http://user@h.example/a",
    "http://h.example@other.example/a",
  ])("%j is refused", (url) => {
    expect(read(url)).toBeTypeOf("string");
  });

  it.each([
    ["Shop.Example.COM", "shop.example.com"],
    ["shop.example.com:8080", "shop.example.com"],
    ["shop.example.com.", "shop.example.com"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:8080", "[::1]"],
    ["my_host", "my_host"],
  ])("Host %s is matched as %s", (written, host) => {
    expect(read("/", [written])).toMatchObject({ host, authority: written });
  });

  it.each(["", "a b", "a/b", "a,b", "user@a", 'a"b', "a:b", "a:123456", "[zz]", "::1", "a;b"])(
    "Host %j is refused",
    (written) => {
      expect(read("/", [written])).toBeTypeOf("string");
    },
  );

  it("a missing and a second Host are refused", () => {
    expect(read("/", [])).toMatch(/missing/);
    expect(read("/", ["h.example", "h.example"])).toMatch(/more than one/);
  });
});
