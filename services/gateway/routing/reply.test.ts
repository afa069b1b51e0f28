import type { AnsweredRoute } from "@evenkeel/core/config/resolve.ts";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RequestHead } from "../messages/message.ts";
import { routeOf } from "../test-support/routes.ts";
import { compileReply } from "./reply.ts";
import { readTarget, type Target } from "./target.ts";

const targetOf = (target: string, authority: string): Target | null => {
  const read = readTarget({ target, authority, method: "GET" } as RequestHead);
  return "status" in read ? null : read;
};

const reply = (written: Partial<RouteDocument>, url: string, secure = false) => {
  const [, authority = "", target = ""] = /^([^/]*)(.*)$/.exec(url) ?? [];
  const read = targetOf(target, authority);
  if (read === null) expect.unreachable("not a valid target");
  return compileReply(routeOf(written) as AnsweredRoute)({ target: read, secure });
};

type Redirect = NonNullable<RouteDocument["redirect"]>;

describe("a redirect", () => {
  it.each<[Redirect, string, string]>([
    [{ scheme: "https" }, "h.example/a?b=1", "https://h.example/a?b=1"],
    [{ scheme: "https" }, "h.example:8080/a", "https://h.example/a"],
    [{ scheme: "https", port: 8443 }, "h.example:8080/a", "https://h.example:8443/a"],
    [{ scheme: "https" }, "[::1]:8080/a", "https://[::1]/a"],
    [{ scheme: "https" }, "[::1]/a", "https://[::1]/a"],
    [{ host: "www.example.com" }, "example.com:8080/a", "http://www.example.com/a"],
    [{ path: "/new" }, "h.example:8080/old?q", "http://h.example:8080/new?q"],
    [{ port: 81 }, "h.example:8080/a", "http://h.example:81/a"],
    [{ scheme: "https" }, "h.example//evil.example/a", "https://h.example//evil.example/a"],
    [{ host: "a.example" }, "h.example//evil.example", "http://a.example//evil.example"],
  ])("%j of %s leads to %s", (redirect, url, location) => {
    expect(reply({ redirect }, url)).toMatchObject({
      status: 302,
      fields: ["location", "location", location],
    });
  });

  it("keeps the scheme of a request that came over TLS", () => {
    const { fields } = reply({ redirect: { path: "/new" } }, "h.example/a", true);
    expect(fields[2]).toBe("https://h.example/new");
  });

  it("has the status it is given, and no body", () => {
    const made = reply({ redirect: { scheme: "https", status: 308 } }, "h.example/a");
    expect(made.status).toBe(308);
    expect(made.body).toHaveLength(0);
  });

  it("never leads to a host that neither the configuration nor the Host header names", () => {
    const piece = fc.constantFrom(
      "/",
      "//",
      "\\",
      "@",
      ":",
      "evil.example",
      "?",
      "#",
      "%40",
      "%2f",
      ".",
      ";",
      "\t",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const target = targetOf(`/${pieces.join("")}`, "h.example:8080");
        if (target === null) return;
        for (const redirect of [{ scheme: "https" }, { port: 81 }, { path: "/new" }] as const) {
          const make = compileReply(routeOf({ redirect }) as AnsweredRoute);
          const location = make({ target, secure: false }).fields[2] as string;
          expect(new URL(location).hostname, location).toBe("h.example");
        }
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });
});

describe("a fixed answer", () => {
  it("has status, type and body of the configuration", () => {
    const made = reply({ respond: { status: 503, body: "grün", contentType: "text/html" } }, "h/a");
    expect(made).toEqual({
      status: 503,
      fields: ["content-type", "content-type", "text/html"],
      body: Buffer.from("grün"),
    });
  });

  it("has no type where there is nothing to read", () => {
    expect(reply({ respond: { status: 204 } }, "h/a")).toEqual({
      status: 204,
      fields: [],
      body: Buffer.alloc(0),
    });
  });

  it("is plain text unless told else", () => {
    expect(reply({ respond: { status: 200, body: "a" } }, "h/a").fields[2]).toBe("text/plain; charset=utf-8");
  });

  it("gets the header fields of its route", () => {
    const headers = { response: { set: { "retry-after": "60" } } };
    expect(reply({ respond: { status: 503 }, headers }, "h/a").fields).toEqual([
      "retry-after",
      "retry-after",
      "60",
    ]);
    expect(reply({ redirect: { path: "/b" }, headers }, "h/a").fields).toContain("60");
  });
});
