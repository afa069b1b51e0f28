import type { Route } from "@evenkeel/core/config/resolve.ts";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { routeOf } from "../test-support/routes.ts";
import { compileConditions } from "./conditions.ts";
import { compileRoutes, type RoutedRequest } from "./router.ts";

type Match = RouteDocument["match"];

const route = (host: string | null, path: string): Route =>
  routeOf({ name: `${host ?? "any"} ${path}`, match: { ...(host !== null && { host }), path } });

const requestOf = (request: Partial<RoutedRequest>): RoutedRequest => ({
  listener: "web",
  host: "h",
  path: "/",
  query: "",
  method: "GET",
  fields: [],
  client: "192.0.2.1",
  ...request,
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
  compileRoutes(routes).match(requestOf({ host, path }))?.name ?? null;

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
    const { match } = compileRoutes([route(null, "/a/a/*"), route(null, "/*"), route("*.b", "/*")]);
    let reads = 0;
    const get = Map.prototype.get;
    Map.prototype.get = function counted(key) {
      reads += 1;
      return get.call(this, key);
    };
    try {
      expect(match(requestOf({ path: "/a".repeat(4_000) }))?.name).toBe("any /a/a/*");
      expect(reads).toBeLessThan(5);
    } finally {
      Map.prototype.get = get;
    }
  });

  it("a match in the table of the host ends the search where no route has a priority", () => {
    const { match } = compileRoutes(ROUTES);
    let reads = 0;
    const get = Map.prototype.get;
    Map.prototype.get = function counted(key) {
      reads += 1;
      return get.call(this, key);
    };
    try {
      expect(match(requestOf({ host: "www.example.com", path: "/a/b/c" }))?.name).toBe(
        "www.example.com /a/b/c",
      );
      expect(reads).toBe(2);
    } finally {
      Map.prototype.get = get;
    }
  });
});

const winner = (written: Partial<RouteDocument>[], request: Partial<RoutedRequest>) =>
  compileRoutes(written.map((one, i) => routeOf({ name: `r${i}`, ...one }))).match(requestOf(request))
    ?.name ?? null;

describe("the order of routes", () => {
  it.each<[string, Partial<RouteDocument>[], Partial<RoutedRequest>, string | null]>([
    [
      "a priority goes before a more specific host and path",
      [{ match: { host: "h", path: "/a/b" } }, { match: { path: "/*" }, priority: 1 }],
      { path: "/a/b" },
      "r1",
    ],
    [
      "a negative priority goes last",
      [{ match: { host: "h", path: "/a" }, priority: -1 }, { match: {} }],
      { path: "/a" },
      "r1",
    ],
    [
      "a longer prefix goes before a regex",
      [{ match: { pathRegex: "^/a" } }, { match: { path: "/a/*" } }],
      { path: "/a/x" },
      "r1",
    ],
    [
      "a regex goes before every path",
      [{ match: {} }, { match: { pathRegex: "^/a" } }],
      { path: "/a" },
      "r1",
    ],
    [
      "a regex of a less specific host comes after any path of the host",
      [{ match: { pathRegex: "^/a" } }, { match: { host: "h" } }],
      { path: "/a" },
      "r1",
    ],
    [
      "more conditions go before fewer",
      [{ match: { methods: ["GET"] } }, { match: { methods: ["GET"], query: { a: "1" } } }],
      { query: "a=1" },
      "r1",
    ],
    [
      "equal ones keep the order of the file",
      [{ match: { methods: ["GET", "PUT"] } }, { match: { methods: ["GET"] } }],
      {},
      "r0",
    ],
    [
      "a route whose conditions fail makes way for the next",
      [{ match: { path: "/a/*", headers: { "x-canary": "1" } } }, { match: { path: "/a/*" } }],
      { path: "/a/x" },
      "r1",
    ],
    [
      "and for less specific paths and hosts",
      [{ match: { host: "h", path: "/a", methods: ["PUT"] } }, { match: { host: "other" } }, { match: {} }],
      { path: "/a" },
      "r2",
    ],
    ["no route at all", [{ match: { methods: ["PUT"] } }], {}, null],
  ])("%s", (_, routes, request, expected) => {
    expect(winner(routes, request)).toBe(expected);
  });
});

const FIELDS = ["X-Tenant", "x-tenant", "acme", "x-tenant", "x-tenant", "b", "X-Empty", "x-empty", ""];

describe("conditions", () => {
  it.each<[string, Match, Partial<RoutedRequest>, boolean]>([
    ["a method", { methods: ["GET", "HEAD"] }, { method: "HEAD" }, true],
    ["another method", { methods: ["GET"] }, { method: "HEAD" }, false],
    ["a method in other letters", { methods: ["GET"] }, { method: "get" }, false],
    ["the listener", { listener: "web" }, {}, true],
    ["another listener", { listener: "inner" }, {}, false],
    [
      "several fields of a name as one list",
      { headers: { "X-Tenant": "acme, b" } },
      { fields: FIELDS },
      true,
    ],
    ["one of several fields alone", { headers: { "x-tenant": "acme" } }, { fields: FIELDS }, false],
    ["a header by regex", { headers: { "x-tenant": { regex: "^ac" } } }, { fields: FIELDS }, true],
    ["a missing header by regex", { headers: { "x-none": { regex: "." } } }, { fields: FIELDS }, false],
    [
      "an empty header that is to be there",
      { headers: { "x-empty": { present: true } } },
      { fields: FIELDS },
      true,
    ],
    ["a missing header that is to be there", { headers: { "x-none": { present: true } } }, {}, false],
    [
      "a header that is to be absent",
      { headers: { "x-none": { present: false } } },
      { fields: FIELDS },
      true,
    ],
    [
      "a header that is not absent",
      { headers: { "x-empty": { present: false } } },
      { fields: FIELDS },
      false,
    ],
    ["a parameter", { query: { beta: "1" } }, { query: "a=2&beta=1" }, true],
    ["another value", { query: { beta: "1" } }, { query: "beta=12" }, false],
    ["one of several values", { query: { beta: "1" } }, { query: "beta=0&beta=1" }, true],
    ["a parameter that another one ends with", { query: { beta: "1" } }, { query: "xbeta=1" }, false],
    ["a parameter in another spelling", { query: { beta: "1 2" } }, { query: "%62eta=1%202" }, true],
    ["a blank written as +", { query: { beta: "1 2" } }, { query: "beta=1+2" }, true],
    ["invalid percent-encoding", { query: { beta: "%zz" } }, { query: "beta=%zz" }, true],
    ["a parameter without a value", { query: { beta: { present: true } } }, { query: "a&beta" }, true],
    ["a parameter that is to be absent", { query: { beta: { present: false } } }, { query: "beta" }, false],
    ["no query at all", { query: { beta: { present: false } } }, {}, true],
    ["a parameter by regex", { query: { beta: { regex: "^[0-9]+$" } } }, { query: "beta=x&beta=12" }, true],
    ["an address of a network", { clients: ["10.0.0.0/8", "192.0.2.0/24"] }, {}, true],
    ["an IPv6 address", { clients: ["2001:db8::/32"] }, { client: "2001:db8::1" }, true],
    ["an address outside", { clients: ["10.0.0.0/8"] }, {}, false],
    ["what is no address", { clients: ["0.0.0.0/0"] }, { client: "unknown" }, false],
  ])("%s", (_, match, request, expected) => {
    expect(winner([{ match }], request) !== null).toBe(expected);
  });

  it("all have to hold", () => {
    const match = { methods: ["GET"], headers: { a: "1" }, clients: ["192.0.2.1/32"] };
    expect(winner([{ match }], { fields: ["a", "a", "1"] })).toBe("r0");
    expect(winner([{ match }], { fields: ["a", "a", "1"], method: "PUT" })).toBeNull();
    expect(winner([{ match }], { fields: ["a", "a", "2"] })).toBeNull();
    expect(winner([{ match }], { fields: ["a", "a", "1"], client: "192.0.2.2" })).toBeNull();
  });
});

const HOSTS = ["a.b.c", "b.c", "x.b.c", "c", "other"];
const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b"];

const matchArbitrary: fc.Arbitrary<Match> = fc
  .record({
    host: fc.constantFrom(undefined, "a.b.c", "x.b.c", "*.b.c", "*.c", "c"),
    path: fc.constantFrom(undefined, "/*", "/a", "/a/*", "/a/b", "/a/b/*", "/b", "~^/a", "~b$"),
    methods: fc.constantFrom(undefined, ["GET"], ["GET", "PUT"]),
    headers: fc.constantFrom(undefined, { k: "1" }, { k: { present: false } }),
    query: fc.constantFrom(undefined, { q: "1" }),
  })
  .map(({ path, ...rest }) => {
    const where = path?.startsWith("~") ? { pathRegex: path.slice(1) } : { path };
    const all = { ...rest, ...where };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Match;
  });

/** The order as the documentation states it, and a scan of every route in it. */
function slowly(routes: Route[], request: RoutedRequest): string | null {
  const hostClass = (host: string | null) => (host === null ? 0 : host.startsWith("*.") ? 1 : 2);
  const pathClass = ({ path, pathRegex }: Route["match"]) =>
    pathRegex !== null ? 1 : path === "/*" ? 0 : path.endsWith("/*") ? 2 : 3;
  const count = ({ listener, methods, headers, query, clients }: Route["match"]) =>
    [listener !== null, methods.length, clients.length].filter(Boolean).length +
    headers.length +
    query.length;
  const sorted = routes.toSorted(
    (a, b) =>
      b.priority - a.priority ||
      hostClass(b.match.host) - hostClass(a.match.host) ||
      (hostClass(a.match.host) === 1
        ? (b.match.host as string).length - (a.match.host as string).length
        : 0) ||
      pathClass(b.match) - pathClass(a.match) ||
      (pathClass(a.match) === 2 ? b.match.path.length - a.match.path.length : 0) ||
      count(b.match) - count(a.match),
  );
  const hostFits = (host: string | null) =>
    host === null || host === request.host || (host.startsWith("*.") && request.host.endsWith(host.slice(1)));
  const pathFits = ({ path, pathRegex }: Route["match"]) => {
    if (pathRegex !== null) return new RegExp(pathRegex).test(request.path);
    if (!path.endsWith("/*")) return path === request.path;
    const prefix = path.slice(0, -2);
    return request.path === prefix || request.path.startsWith(`${prefix}/`);
  };
  const fits = ({ match }: Route) =>
    hostFits(match.host) &&
    pathFits(match) &&
    (compileConditions(match) ?? []).every((condition) => condition(request));
  return sorted.find(fits)?.name ?? null;
}

describe("the router beside a scan of all routes in their order", () => {
  it("finds the same route, with priorities, regexes and conditions", () => {
    const written = fc.record({ match: matchArbitrary, priority: fc.constantFrom(0, 0, 0, 1, 2, -1) });
    const some = fc.array(written, { maxLength: 25 });
    fc.assert(
      fc.property(some, fc.boolean(), (documents, prioritized) => {
        const routes = documents.map((one, i) =>
          routeOf({ match: one.match, priority: prioritized ? one.priority : 0, name: `r${i}` }),
        );
        const router = compileRoutes(routes);
        for (const host of HOSTS) {
          for (const path of PATHS) {
            for (const [method, query, fields] of [
              ["GET", "", []],
              ["PUT", "q=1", ["k", "k", "1"]],
            ] as const) {
              const request = requestOf({ host, path, method, query, fields: [...fields] });
              expect(router.match(request)?.name ?? null).toBe(slowly(routes, request));
            }
          }
        }
      }),
      { seed: 11, numRuns: 400 },
    );
  });
});
