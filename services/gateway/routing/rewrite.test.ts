import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { proxiedRouteOf } from "../test-support/routes.ts";
import { compileRewrite } from "./rewrite.ts";
import { isCanonicalPath, MAX_TARGET_LENGTH } from "./target.ts";

type Rewrite = NonNullable<RouteDocument["rewrite"]>;

const rewritten = (rewrite: Rewrite, forwarded: string, path = "/api/*"): string | null => {
  const rewriteTarget = compileRewrite(proxiedRouteOf({ match: { path }, rewrite }));
  if (rewriteTarget === null) expect.unreachable("nothing to rewrite");
  return rewriteTarget({ path: forwarded.split("?", 1)[0] as string, forwarded });
};

const rule = (pattern: string, substitution: string): Rewrite => ({ regex: { pattern, substitution } });

describe("a rewrite", () => {
  it.each<[Rewrite, string, string | null]>([
    [{ stripPrefix: true }, "/api/a/b?q=/api", "/a/b?q=/api"],
    [{ stripPrefix: true }, "/api", "/"],
    [{ stripPrefix: true }, "/api?q", "/?q"],
    [{ stripPrefix: true }, "/api/", "/"],
    [{ stripPrefix: "/api" }, "/apis/a", "/apis/a"],
    [{ stripPrefix: "/api/" }, "/api/a", "/a"],
    [{ stripPrefix: "/other" }, "/api/a", "/api/a"],
    [{ stripPrefix: true }, "/api//a", null],
    [{ addPrefix: "/v2" }, "/api/a?q", "/v2/api/a?q"],
    [{ addPrefix: "/v2/" }, "/api/a", "/v2/api/a"],
    [{ stripPrefix: true, addPrefix: "/v2" }, "/api", "/v2"],
    [{ stripPrefix: true, addPrefix: "/v2" }, "/api/", "/v2/"],
    [{ stripPrefix: true, addPrefix: "/v2" }, "/api//a", "/v2//a"],
    [{ path: "/fixed" }, "/api/a?q=1", "/fixed?q=1"],
    [rule("^/api/([^/]+)/(.*)$", "/$2/$1"), "/api/a/b/c?q", "/b/c/a?q"],
    [rule("^/api/(a)?", "/x$1"), "/api/b", "/xb"],
    [rule("^/api", "/new"), "/api/api", "/new/api"],
    [rule("^/nothing", "/new"), "/api/a", "/api/a"],
    [rule("^/api/(.*)$", "/$$1$1$&$'"), "/api/a", "/$1a$&$'"],
  ])("%j makes of %s: %s", (rewrite, forwarded, expected) => {
    expect(rewritten(rewrite, forwarded)).toBe(expected);
  });

  it.each<[string, Rewrite, string]>([
    ["a dot segment put together from captures", rule("^/api/([^/]+)/x", "/.$1"), "/api/.;a/x"],
    ["a dot segment", rule("^/api/a(.*)$", "/$1"), "/api/a../b"],
    ["a path that reads as a host", rule("^/api(.*)$", "/$1"), "/api/evil.example/"],
    ["an escape put together", rule("^/api/(.)(.)", "/%2$1"), "/api/ex"],
    ["a path that is too long", { addPrefix: "/v2" }, `/api/${"a".repeat(MAX_TARGET_LENGTH - 6)}`],
  ])("refuses to make %s", (_, rewrite, forwarded) => {
    expect(rewritten(rewrite, forwarded)).toBeNull();
  });

  it("is not there when only the host is another one, or nothing at all", () => {
    expect(compileRewrite(proxiedRouteOf({ rewrite: { host: "a.example" } }))).toBeNull();
    expect(compileRewrite(proxiedRouteOf({ rewrite: { stripPrefix: false } }))).toBeNull();
    expect(compileRewrite(proxiedRouteOf({}))).toBeNull();
  });

  it("makes canonical paths or none, and leaves the query as it is", () => {
    const piece = fc.constantFrom("/", "..", ".", "a", "api", "%2e", "%2f", "%25", "2e", ";", "%20", "//");
    const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/api/${pieces.join("")}`);
    const rewrite = fc.constantFrom<Rewrite>(
      { stripPrefix: true },
      { stripPrefix: "/api/a" },
      { stripPrefix: true, addPrefix: "/v2" },
      rule("^/api/(a)?(?:/(.*))?$", "/$2$1"),
      rule("^/api/([^/]*)/([^/]*)", "/$1$2"),
      rule("^/api/(.)", "/%$1"),
    );
    fc.assert(
      fc.property(path, rewrite, fc.constantFrom("", "?", "?a=../b"), (path, rewrite, query) => {
        fc.pre(isCanonicalPath(path));
        const made = rewritten(rewrite, path + query);
        if (made === null) return;
        expect(made.endsWith(query)).toBe(true);
        const rest = made.slice(0, made.length - query.length);
        expect(isCanonicalPath(rest), `${path} became ${rest}`).toBe(true);
        expect(rest.startsWith("//")).toBe(false);
      }),
      { seed: 3, numRuns: 3_000 },
    );
  });
});
