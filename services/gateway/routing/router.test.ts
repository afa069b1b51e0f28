import type { Route } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it } from "vitest";
import { compileRoutes } from "./router.ts";

const route = (host: string | null, path: string): Route => ({
  name: `${host ?? "any"} ${path}`,
  match: { host, path },
  proxy: "dynamic",
  pool: "p",
  backend: null,
  timeouts: { responseHeadersMs: 1, idleMs: 1 },
});

const ROUTES = [
  route(null, "/*"),
  route(null, "/a/*"),
  route("*.example.com", "/*"),
  route("*.example.com", "/deep/*"),
  route("*.shop.example.com", "/*"),
  route("www.example.com", "/a"),
  route("www.example.com", "/a/*"),
  route("www.example.com", "/a/b/*"),
  route("www.example.com", "/a/b/c"),
  route("lonely.example.com", "/only"),
];

const match = (host: string, path: string, routes = ROUTES) =>
  compileRoutes(routes).match(host, path)?.name ?? null;

describe("router", () => {
  it.each([
    ["www.example.com", "/a", "www.example.com /a"],
    ["www.example.com", "/a/", "www.example.com /a/*"],
    ["www.example.com", "/a/x", "www.example.com /a/*"],
    ["www.example.com", "/a/b", "www.example.com /a/b/*"],
    ["www.example.com", "/a/b/", "www.example.com /a/b/*"],
    ["www.example.com", "/a/b/c", "www.example.com /a/b/c"],
    ["www.example.com", "/a/b/c/d/e", "www.example.com /a/b/*"],
    ["www.example.com", "/a/bc", "www.example.com /a/*"],
  ])("%s%s goes to the most specific path of its own host", (host, path, expected) => {
    expect(match(host, path)).toBe(expected);
  });

  it.each([
    ["www.example.com", "/ab", "*.example.com /*"],
    ["lonely.example.com", "/only", "lonely.example.com /only"],
    ["lonely.example.com", "/only/", "*.example.com /*"],
    ["x.example.com", "/deep/down", "*.example.com /deep/*"],
    ["x.y.example.com", "/", "*.example.com /*"],
    ["x.shop.example.com", "/deep", "*.shop.example.com /*"],
    ["shop.example.com", "/deep", "*.example.com /deep/*"],
    ["example.com", "/", "any /*"],
    ["notexample.com", "/a/b", "any /a/*"],
    ["other.org", "/ab", "any /*"],
    [".example.com", "/", "any /*"],
  ])("%s%s falls through to the next less specific host", (host, path, expected) => {
    expect(match(host, path)).toBe(expected);
  });

  it("a prefix matches itself with and without the closing slash and never half a segment", () => {
    const routes = [route(null, "/a/*")];
    expect(match("h", "/a", routes)).toBe("any /a/*");
    expect(match("h", "/a/", routes)).toBe("any /a/*");
    expect(match("h", "/ab", routes)).toBeNull();
    expect(match("h", "/", routes)).toBeNull();
    expect(match("h", "/A", routes)).toBeNull();
  });

  it("nothing matches without routes", () => {
    expect(match("h", "/", [])).toBeNull();
  });

  it("the order of the routes does not matter", () => {
    for (const path of ["/a", "/a/b/c", "/zzz"]) {
      expect(match("www.example.com", path, ROUTES.toReversed())).toBe(match("www.example.com", path));
    }
  });

  it("a path of thousands of segments is looked up no deeper than the longest prefix", () => {
    let reads = 0;
    const get = Map.prototype.get;
    Map.prototype.get = function counted(key) {
      reads += 1;
      return get.call(this, key);
    };
    try {
      expect(match("h", "/a".repeat(8_000), [route(null, "/a/a/*"), route(null, "/*")])).toBe("any /a/a/*");
      expect(reads).toBeLessThan(20);
    } finally {
      Map.prototype.get = get;
    }
  });
});
