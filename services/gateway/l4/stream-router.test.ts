import { describe, expect, it } from "vitest";
import { compileStreamRoutes, type StreamRoute } from "./stream-router.ts";

const route = (name: string, match: Partial<StreamRoute["match"]> = {}, priority = 0): StreamRoute => ({
  name,
  priority,
  match: { listener: "l", sni: null, clients: [], ...match },
});

const routed = (routes: StreamRoute[], sni: string | null, client = "192.0.2.1") =>
  compileStreamRoutes(routes, "l")(sni, client)?.name ?? null;

describe("compileStreamRoutes", () => {
  const names = [
    route("any"),
    route("wide", { sni: "*.example.com" }),
    route("narrow", { sni: "*.eu.example.com" }),
    route("exact", { sni: "shop.example.com" }),
  ];

  it.each([
    ["shop.example.com", "exact"],
    ["a.example.com", "wide"],
    ["a.eu.example.com", "narrow"],
    ["a.b.eu.example.com", "narrow"],
    ["example.com", "any"],
    ["evilexample.com", "any"],
    [null, "any"],
  ])("sends %s to the route of the most specific name: %s", (sni, expected) => {
    expect(routed(names, sni)).toBe(expected);
    expect(routed(names.toReversed(), sni)).toBe(expected);
  });

  it("answers null where no route of the listener takes it", () => {
    expect(routed(names.slice(1), "other.example")).toBe(null);
    expect(routed(names.slice(1), null)).toBe(null);
    expect(routed([route("other", { listener: "m" }), route("http", { listener: null })], null)).toBe(null);
  });

  it("prefers routes for the client's network, but not before the name", () => {
    const routes = [
      route("any"),
      route("office", { clients: ["10.0.0.0/8", "fd00::/8"] }),
      route("shop", { sni: "shop.example" }),
    ];
    expect(routed(routes, null, "10.1.2.3")).toBe("office");
    expect(routed(routes, null, "fd00::1")).toBe("office");
    expect(routed(routes, null, "192.0.2.1")).toBe("any");
    expect(routed(routes, "shop.example", "10.1.2.3")).toBe("shop");
  });

  it("falls through to a less specific name where the client is not taken", () => {
    const routes = [route("any"), route("shop", { sni: "shop.example", clients: ["10.0.0.0/8"] })];
    expect(routed(routes, "shop.example", "192.0.2.1")).toBe("any");
    expect(routed(routes.slice(1), "shop.example", "192.0.2.1")).toBe(null);
  });

  it("lets priority go before everything", () => {
    const routes = [...names, route("first", {}, 1)];
    for (const sni of ["shop.example.com", "a.example.com", null]) expect(routed(routes, sni)).toBe("first");
  });

  it("takes the first of equals", () => {
    expect(routed([route("a"), route("b")], null)).toBe("a");
  });
});
