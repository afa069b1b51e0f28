import { describe, expect, test } from "vitest";
import { resolveRouting } from "./resolve-routing.ts";

describe("a route as it is run", () => {
  test("has every default filled in", () => {
    expect(resolveRouting({ name: "r", match: {}, proxy: "dynamic", pool: "p" })).toEqual({
      match: {
        listener: null,
        host: null,
        path: "/*",
        pathRegex: null,
        methods: [],
        headers: [],
        query: [],
        clients: [],
        sni: null,
      },
      priority: 0,
      reply: null,
      proxy: "dynamic",
      pool: "p",
      backend: null,
      spillAbove: null,
      failover: false,
      criticality: "normal",
      split: null,
      mirror: null,
      rewrite: null,
      requestHeaders: null,
      responseHeaders: null,
    });
  });

  test("spells names as they are compared", () => {
    const match = {
      host: "A.Example",
      sni: "B.Example",
      headers: { "X-A": "B" },
      query: { Q: { present: true } },
    };
    expect(resolveRouting({ name: "r", match, proxy: "dynamic", pool: "p" })).toMatchObject({
      match: {
        host: "a.example",
        sni: "b.example",
        headers: [{ name: "x-a", kind: "equals", value: "B" }],
        query: [{ name: "Q", kind: "present" }],
      },
    });
  });

  test.each<[boolean | string, string, string | null]>([
    [true, "/api/*", "/api"],
    [true, "/api", "/api"],
    ["/api/", "/*", "/api"],
    [false, "/api/*", null],
  ])("stripPrefix %j of a match of %s strips %s", (stripPrefix, path, expected) => {
    const route = {
      name: "r",
      match: { path },
      proxy: "dynamic" as const,
      pool: "p",
      rewrite: { stripPrefix },
    };
    expect(resolveRouting(route)).toMatchObject({ rewrite: { stripPrefix: expected } });
  });

  test("of a split has its first pool as its pool", () => {
    const pools = [
      { pool: "a", weight: 0 },
      { pool: "b", weight: 1 },
    ];
    expect(resolveRouting({ name: "r", match: {}, proxy: "dynamic", split: { pools } })).toMatchObject({
      pool: "a",
      split: { pools, sticky: null },
    });
  });

  test("answers by itself, and is not proxied", () => {
    expect(resolveRouting({ name: "r", match: {}, redirect: { scheme: "https" } })).toMatchObject({
      proxy: null,
      pool: null,
      backend: null,
      reply: { kind: "redirect", scheme: "https", host: null, port: null, path: null, status: 302 },
    });
    expect(resolveRouting({ name: "r", match: {}, respond: { status: 204 } })).toMatchObject({
      reply: { kind: "respond", status: 204, body: "", contentType: "text/plain; charset=utf-8" },
    });
  });
});
