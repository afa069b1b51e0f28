import { describe, expect, test } from "vitest";
import { parseConfig } from "./parse.ts";
import { ROUTING_LIMITS } from "./schema-routing.ts";
import { validateConfig } from "./validate.ts";

// Line numbers below count in this text.
const SOUND = `listeners:
  - { name: web, protocol: http, port: 8080 }
  - { name: db, protocol: tcp, port: 5432 }
  - { name: sni, protocol: tls, port: 8443 }
  - { name: dns, protocol: udp, port: 53 }
pools:
  - { name: shop, affinity: {}, backends: [{ id: shop-1, url: "http://10.0.0.1:80" }] }
  - { name: canary, backends: [{ id: canary-1, url: "https://10.0.0.2" }] }
  - { name: sql, backends: [{ id: sql-1, url: "tcp://10.0.0.3:5432" }] }
  - { name: names, backends: [{ id: names-1, url: "udp://10.0.0.4:53" }] }
routes:
  - name: shop
    match:
      listener: web
      host: shop.example.com
      path: /api/*
      methods: [GET, HEAD]
      headers: { x-canary: "1", x-tenant: { regex: "^a" }, x-debug: { present: false } }
      query: { beta: "1", old: { present: true } }
      clients: [10.0.0.0/8, "fd00::/8"]
    priority: 10
    proxy: hybrid
    pool: shop
    backend: shop-1
    spillAbove: 50
    criticality: background
    mirror: { pool: canary, percent: 10 }
    rewrite: { stripPrefix: true, addPrefix: /v2, host: "internal.example:8080" }
    headers:
      request: { set: { x-a: "1" }, add: { x-b: "2" }, remove: [x-c] }
      response: { set: { x-d: "3" } }
  - name: split
    match: { pathRegex: "^/v[0-9]+/" }
    proxy: dynamic
    split: { pools: [{ pool: shop, weight: 95 }, { pool: canary, weight: 5 }], sticky: { cookie: version } }
    rewrite: { regex: { pattern: "^/v([0-9]+)/", substitution: /$1/ } }
  - { name: moved, match: { path: /old/* }, redirect: { scheme: https, host: www.example.com, path: /new, status: 308 } }
  - { name: closed, match: { path: /closed }, respond: { status: 503, body: closed }, headers: { response: { set: { retry-after: "60" } } } }
  - { name: fixed, match: { host: a.example, path: /x }, proxy: static, pool: canary, backend: canary-1, rewrite: { path: /y } }
  - { name: db, match: { listener: db, clients: [10.0.0.0/8] }, proxy: static, pool: sql, backend: sql-1 }
  - { name: passed, match: { listener: sni, sni: "*.example.com" }, proxy: dynamic, pool: sql }
  - { name: dns, match: { listener: dns }, proxy: dynamic, pool: names }
`;

/** [what is wrong, text to replace, replacement, path, line, part of the message] */
// biome-ignore format: a table, one row per fault
const BROKEN: [string, string, string, string, number, string][] = [
  ["an unknown listener", "listener: web", "listener: wbe", "/routes/0/match/listener", 14, 'there is no listener "wbe"; did you mean "web"?'],
  ["a path beside a regex", 'pathRegex: "^/v[0-9]+/"', 'pathRegex: "^/v[0-9]+/", path: /v/*', "/routes/1/match/pathRegex", 33, "one of `path` and `pathRegex`"],
  ["a regex that is none", '"^/v[0-9]+/"', '"^/v([0-9]+/"', "/routes/1/match/pathRegex", 33, "at character 4: this group is not closed"],
  ["a regex that looks around", '"^/v[0-9]+/"', '"^/(?!v1)"', "/routes/1/match/pathRegex", 33, "of groups only"],
  ["a regex that is too complex", '"^/v[0-9]+/"', '"(a|b)*a(a|b){12}"', "/routes/1/match/pathRegex", 33, "too complex"],
  ["a header's regex that is none", 'regex: "^a"', 'regex: "["', "/routes/0/match/headers/x-tenant/regex", 18, "this [ is not closed"],
  ["a method that is none", "methods: [GET, HEAD]", 'methods: ["GET ME"]', "/routes/0/match/methods/0", 17, "must be 1 to 64 letters"],
  ["a method twice", "methods: [GET, HEAD]", "methods: [GET, GET]", "/routes/0/match/methods/1", 17, "is already taken"],
  ["no method", "methods: [GET, HEAD]", "methods: []", "/routes/0/match/methods", 17, "at least 1 entry"],
  ["a header of no valid name", "x-canary:", "x canary:", "/routes/0/match/headers/x canary", 18, "not the name of a header"],
  ["a header that has a key of its own", "x-canary:", "Host:", "/routes/0/match/headers/Host", 18, "use `host`"],
  ["a header twice", "x-canary:", "X-Tenant:", "/routes/0/match/headers/x-tenant", 18, "is already taken"],
  ["a header's value of another kind", 'x-canary: "1"', "x-canary: 1", "/routes/0/match/headers/x-canary", 18, "must be text or a mapping of keys to values, got 1"],
  ["an unknown key of a value", "{ present: false }", "{ presen: false }", "/routes/0/match/headers/x-debug/presen", 18, 'did you mean "present"?'],
  ["a value that says two things", "{ present: false }", '{ present: true, regex: "a" }', "/routes/0/match/headers/x-debug", 18, "is one of: text"],
  ["a value that says nothing", "{ present: false }", "{}", "/routes/0/match/headers/x-debug", 18, "is one of: text"],
  ["no parameter", '{ beta: "1", old: { present: true } }', "{}", "/routes/0/match/query", 19, "is empty"],
  ["a network that is none", "[10.0.0.0/8, ", "[10.0.0.0/80, ", "/routes/0/match/clients/0", 20, 'prefix length "80"'],
  ["a server name on an http listener", "      listener: web\n", "      listener: web\n      sni: a.example\n", "/routes/0/match/sni", 15, 'only a tls listener is routed by server name, "web" is http'],
  ["a server name without a listener", "{ listener: sni, sni:", "{ sni:", "/routes/6/match/sni", 41, "say which one by `listener`"],
  ["a server name on a tcp listener", "{ listener: db,", "{ listener: db, sni: a.example,", "/routes/5/match/sni", 40, '"db" is tcp'],
  ["a host on a tcp listener", "{ listener: db,", "{ listener: db, host: a.example,", "/routes/5/match/host", 40, 'has no meaning on tcp listener "db": only HTTP has it'],
  ["a rewrite on a udp listener", "match: { listener: dns }", "match: { listener: dns }, rewrite: { path: /a }", "/routes/7/rewrite", 42, 'has no meaning on udp listener "dns"'],
  ["a fixed answer on a tls listener", "proxy: dynamic, pool: sql }", "respond: { status: 200 } }", "/routes/6/respond", 41, 'has no meaning on tls listener "sni"'],
  ["a tcp route to an http pool", "pool: sql, backend: sql-1", "pool: shop, backend: shop-1", "/routes/5/pool", 40, 'are of http:// or https://; a route of tcp listener "db" needs such of tcp://'],
  ["an http route to a tcp pool", "pool: canary, backend: canary-1, rewrite", "pool: sql, backend: sql-1, rewrite", "/routes/4/pool", 39, "are of tcp://; a route needs such of http:// or https://"],
  ["a udp route to a tcp pool", "pool: names }", "pool: sql }", "/routes/7/pool", 42, "needs such of udp://"],
  ["a split over pools of another protocol", "{ pool: canary, weight: 5 }", "{ pool: sql, weight: 5 }", "/routes/1/split/pools/1/pool", 35, "needs such of http://"],
  ["a split route with a pool, too", "    split: {", "    pool: shop\n    split: {", "/routes/1/pool", 35, "remove `pool` or `split`"],
  ["a split static route", "proxy: dynamic\n    split", "proxy: static\n    backend: shop-1\n    split", "/routes/1/split", 36, "only a dynamic route is split"],
  ["weights that are all 0", "weight: 95 }, { pool: canary, weight: 5 }", "weight: 0 }, { pool: canary, weight: 0 }", "/routes/1/split/pools", 35, "all weights are 0"],
  ["a pool twice in a split", "{ pool: canary, weight: 5 }", "{ pool: shop, weight: 5 }", "/routes/1/split/pools/1/pool", 35, "is already taken"],
  ["one pool in a split", ", { pool: canary, weight: 5 }", "", "/routes/1/split/pools", 35, "at least 2 entries"],
  ["an unknown pool in a split", "{ pool: canary, weight: 5 }", "{ pool: canarv, weight: 5 }", "/routes/1/split/pools/1/pool", 35, 'there is no pool "canarv"; did you mean "canary"?'],
  ["an unknown pool of a mirror", "mirror: { pool: canary", "mirror: { pool: canarv", "/routes/0/mirror/pool", 27, 'there is no pool "canarv"'],
  ["a mirror of no requests", "percent: 10", "percent: 0", "/routes/0/mirror/percent", 27, "must be more than 0 and at most 100"],
  ["a cookie that names a backend already", "cookie: version", "cookie: evenkeel", "/routes/1/split/sticky/cookie", 35, 'names backends of pool "shop" already'],
  ["a redirect with a pool", "{ name: moved,", "{ name: moved, pool: shop,", "/routes/2/pool", 37, "has no meaning beside `redirect`"],
  ["a fixed answer with a proxy", "{ name: closed,", "{ name: closed, proxy: dynamic,", "/routes/3/proxy", 38, "has no meaning beside `respond`"],
  ["a redirect with a fixed answer", "{ name: moved,", "{ name: moved, respond: { status: 200 },", "/routes/2/respond", 37, "a route answers in one way"],
  ["a redirect with fields for its request", "path: /new, status: 308 }", "path: /new }, headers: { request: { remove: [x-a] } }", "/routes/2/headers/request", 37, "nobody gets this request"],
  ["a redirect to itself", "redirect: { scheme: https, host: www.example.com, path: /new, status: 308 }", "redirect: {}", "/routes/2/redirect", 37, "leads back"],
  ["a redirect to a pattern", "host: www.example.com, path", 'host: "*.example.com", path', "/routes/2/redirect/host", 37, "must be one host"],
  ["a redirect to a path with a wildcard", "path: /new, status", "path: /new/*, status", "/routes/2/redirect/path", 37, "must not hold `*`"],
  ["a redirect to what reads as a host", "path: /new, status", "path: //evil.example, status", "/routes/2/redirect/path", 37, "reads as a host"],
  ["a redirect of no such status", "status: 308", "status: 304", "/routes/2/redirect/status", 37, "must be one of 301, 302, 303, 307, 308"],
  ["a body where there can be none", "status: 503, body: closed", "status: 204, body: closed", "/routes/3/respond/body", 38, "has no body"],
  ["a type with a line break", "body: closed }", 'body: closed, contentType: "a\\nb" }', "/routes/3/respond/contentType", 38, "must be a media type"],
  ["a status that is no final one", "status: 503", "status: 101", "/routes/3/respond/status", 38, "from 200 to 599"],
  ["a hybrid route without a backend", "    backend: shop-1\n", "", "/routes/0/backend", 12, "a hybrid route is bound to one backend"],
  ["a hybrid route to a backend its pool lacks", "backend: shop-1", "backend: shop-2", "/routes/0/backend", 24, 'pool "shop" has no backend "shop-2"; did you mean "shop-1"?'],
  ["a bound on what does not spill", "spillAbove: 50", "spillAbove: 0", "/routes/0/spillAbove", 25, "from 1 to"],
  ["spilling of a static route", "proxy: hybrid", "proxy: static", "/routes/0/spillAbove", 25, "only a hybrid route spills over"],
  ["criticality of a static route", "proxy: hybrid", "proxy: static", "/routes/0/criticality", 26, "only a hybrid route spills over"],
  ["a proxy of no kind", "proxy: hybrid", "proxy: hybird", "/routes/0/proxy", 22, 'did you mean "hybrid"?'],
  ["a route without a pool", "    pool: shop\n", "", "/routes/0/pool", 12, 'key "pool" is missing'],
  ["a prefix to strip where there is none", "path: /old/* }, redirect: { scheme: https, host: www.example.com, path: /new, status: 308 }", "path: /* }, proxy: dynamic, pool: shop, rewrite: { stripPrefix: true }", "/routes/2/rewrite/stripPrefix", 37, "no prefix to strip"],
  ["a prefix to strip of a regex", "rewrite: { regex: { pattern: \"^/v([0-9]+)/\", substitution: /$1/ } }", "rewrite: { stripPrefix: true }", "/routes/1/rewrite/stripPrefix", 36, "with `pathRegex` there is no prefix"],
  ["a prefix with a wildcard", "stripPrefix: true", "stripPrefix: /api/*", "/routes/0/rewrite/stripPrefix", 28, "must not hold `*`"],
  ["a prefix that is the root", "stripPrefix: true", "stripPrefix: /", "/routes/0/rewrite/stripPrefix", 28, "is none"],
  ["a prefix with dot segments", "addPrefix: /v2", "addPrefix: /v2/..", "/routes/0/rewrite/addPrefix", 28, "segments . or .."],
  ["a fixed path that is none", "rewrite: { path: /y }", "rewrite: { path: y }", "/routes/4/rewrite/path", 39, 'must start with "/"'],
  ["a fixed path with a prefix", "rewrite: { path: /y }", "rewrite: { path: /y, addPrefix: /v2 }", "/routes/4/rewrite/addPrefix", 39, "`path` makes the whole path"],
  ["a regex with a prefix", "substitution: /$1/ } }", "substitution: /$1/ }, addPrefix: /v2 }", "/routes/1/rewrite/addPrefix", 36, "`regex` makes the whole path"],
  ["a rewrite that says nothing", "rewrite: { path: /y }", "rewrite: {}", "/routes/4/rewrite", 39, "is empty"],
  ["a pattern that can be read in two ways", 'pattern: "^/v([0-9]+)/"', 'pattern: "^/(.*)/(.*)$"', "/routes/1/rewrite/regex/pattern", 36, "can read a text in two ways"],
  ["a pattern without a start", 'pattern: "^/v([0-9]+)/"', 'pattern: "/v([0-9]+)/"', "/routes/1/rewrite/regex/pattern", 36, "must begin with ^"],
  ["a group that is not there", "substitution: /$1/", "substitution: /$2/", "/routes/1/rewrite/regex/substitution", 36, "has 1 groups, so there is no $2"],
  ["a substitution with a query", "substitution: /$1/", 'substitution: "/$1?a=b"', "/routes/1/rewrite/regex/substitution", 36, "query or fragment"],
  ["a substitution that is no path", "substitution: /$1/", "substitution: $1", "/routes/1/rewrite/regex/substitution", 36, 'must start with "/"'],
  ["a dollar that means nothing", "substitution: /$1/", "substitution: /$1/$x", "/routes/1/rewrite/regex/substitution", 36, "a $ is followed by"],
  ["a host that is none", 'host: "internal.example:8080"', 'host: "http://internal"', "/routes/0/rewrite/host", 28, "without a scheme"],
  ["a host with a port that is none", 'host: "internal.example:8080"', 'host: "internal.example:99999"', "/routes/0/rewrite/host", 28, 'port "99999" does not exist'],
  ["a header that is left to the gateway", 'set: { x-a: "1" }', 'set: { Content-Length: "1" }', "/routes/0/headers/request/set/Content-Length", 30, "it frames the message"],
  ["a header that has a key of its own, set", 'set: { x-a: "1" }', 'set: { host: "a" }', "/routes/0/headers/request/set/host", 30, "use `rewrite.host`"],
  ["a header of this hop, removed", "remove: [x-c]", "remove: [Connection]", "/routes/0/headers/request/remove/0", 30, "it belongs to one connection"],
  ["a header name that is none", "add: { x-b:", 'add: { "x:b":', "/routes/0/headers/request/add/x:b", 30, "not the name of a header"],
  ["a header value with a line break", 'x-d: "3"', 'x-d: "3\\r\\nx-e: 4"', "/routes/0/headers/response/set/x-d", 31, "without control characters"],
  ["a header value with blanks around it", 'x-d: "3"', 'x-d: " 3"', "/routes/0/headers/response/set/x-d", 31, "without blanks around it"],
  ["a header value beyond Latin-1", 'x-d: "3"', 'x-d: "€"', "/routes/0/headers/response/set/x-d", 31, "Latin-1"],
  ["a header set twice", 'set: { x-d: "3" }', 'set: { x-d: "3", X-D: "4" }', "/routes/0/headers/response/set/X-D", 31, "is already taken"],
];

describe("routes", () => {
  test("of every kind are accepted", () => {
    expect(parseConfig(SOUND, "sound.yaml")).toMatchObject({ ok: true });
  });

  test.each(BROKEN)("%s is named with its place", (_, from, to, path, line, message) => {
    expect(SOUND).toContain(from);
    const parsed = parseConfig(
      SOUND.replace(from, () => to),
      "broken.yaml",
    );
    if (parsed.ok) expect.unreachable("accepted");
    const found = parsed.problems.filter((problem) => problem.path === path && problem.line === line);
    const messages = found.map((problem) => problem.message).join();
    expect(messages, JSON.stringify(parsed.problems)).toContain(message);
  });
});

const listeners = [
  { name: "web", protocol: "http", port: 8080 },
  { name: "inner", protocol: "http", port: 8081 },
  { name: "db", protocol: "tls", port: 8443 },
];
const pools = [
  { name: "p", backends: [] },
  { name: "q", backends: [] },
];

const faults = (...routes: object[]) => {
  const named = routes.map((route, i) => ({
    name: `r${i}`,
    match: {},
    proxy: "dynamic",
    pool: "p",
    ...route,
  }));
  const result = validateConfig({ listeners, pools, routes: named });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path} ${message}`);
};

const headers = (value: unknown) => ({ match: { headers: { "x-a": value } } });

describe("rules of routes", () => {
  test("answer for whatever is missing, or in place of what it should be", () => {
    const parsed = parseConfig(SOUND, "sound.yaml");
    if (!parsed.ok) expect.unreachable("refused");
    const { document } = parsed;
    const visit = (inside: object, put: (value: unknown) => object): void => {
      for (const [key, value] of Object.entries(inside)) {
        const changed = (other: unknown) =>
          put(Array.isArray(inside) ? inside.with(Number(key), other) : { ...inside, [key]: other });
        for (const other of [undefined, 7, "(", [{}]]) {
          expect(() => validateConfig(changed(other)), `${key} = ${JSON.stringify(other)}`).not.toThrow();
        }
        if (typeof value === "object" && value !== null) visit(value, changed);
      }
    };
    visit(document.routes, (routes) => ({ ...document, routes }));
    visit(document.listeners, (all) => ({ ...document, listeners: all }));
  });
});

describe("two routes", () => {
  test.each<[string, object, object]>([
    ["of different listeners", { match: { listener: "web" } }, { match: { listener: "inner" } }],
    ["one of any listener", { match: {} }, { match: { listener: "inner" } }],
    ["of different methods", { match: { methods: ["GET"] } }, { match: { methods: ["PUT"] } }],
    ["of different values", headers("1"), headers("2")],
    ["of a text and a regex", headers("1"), headers({ regex: "1" })],
    ["of different networks", { match: { clients: ["10.0.0.0/8"] } }, { match: { clients: ["10.0.0.0/9"] } }],
    ["of different patterns", { match: { pathRegex: "^/a" } }, { match: { pathRegex: "^/b" } }],
    ["of different servers", ...serversOf("a.example", "b.example")],
    [
      "of different priorities, the narrower first",
      { match: { path: "/a" }, priority: 1 },
      { match: { path: "/a/*" } },
    ],
    [
      "a narrower one of a lower priority that has more hosts",
      { match: { host: "a.b", path: "/a/*" }, priority: 1 },
      { match: { path: "/a/b" } },
    ],
    [
      "a higher one with a condition",
      { match: { methods: ["GET"] }, priority: 1 },
      { match: { path: "/a" } },
    ],
    ["a higher one of half a segment", { match: { path: "/a/*" }, priority: 1 }, { match: { path: "/ab" } }],
    ["a higher one of deeper hosts", { match: { host: "*.a.b" }, priority: 1 }, { match: { host: "a.b" } }],
  ])("%s go together", (_, a, b) => {
    expect(faults(a, b)).toEqual([]);
  });

  test.each<[string, object, object]>([
    ["catch-alls", {}, { match: { path: "/*" } }],
    ["catch-alls of a listener", { match: { listener: "web" } }, { match: { listener: "web" } }],
    ["equal but for order", { match: { methods: ["GET", "PUT"] } }, { match: { methods: ["PUT", "GET"] } }],
    ["equal but for letters", headers("1"), { match: { headers: { "X-A": "1" } } }],
    [
      "networks in two spellings",
      { match: { clients: ["10.0.0.0/8"] } },
      { match: { clients: ["10.1.2.3/8"] } },
    ],
    ["equal patterns", { match: { pathRegex: "^/a" } }, { match: { pathRegex: "^/a" } }],
    ["equal servers", ...serversOf("a.example", "A.example")],
    ["equal priorities", { priority: 3 }, { priority: 3 }],
    ["priority 0 and none", { priority: 0 }, {}],
  ])("are refused when they are %s", (_, a, b) => {
    expect(faults(a, b)).toEqual([expect.stringMatching(/^\/routes\/1\/match match .* is already taken by/)]);
  });

  test.each<[string, object, object]>([
    ["the same match", { match: { path: "/a" } }, { match: { path: "/a" }, priority: 1 }],
    ["a wider path", { match: { path: "/a/b" } }, { match: { path: "/a/*" }, priority: 1 }],
    ["the same prefix, exactly", { match: { path: "/a" } }, { match: { path: "/a/*" }, priority: 1 }],
    ["every path", { match: { pathRegex: "^/a" } }, { match: {}, priority: 1 }],
    [
      "the same regex on every host",
      { match: { host: "a.b", pathRegex: "^/a" } },
      { match: { pathRegex: "^/a" }, priority: 1 },
    ],
    ["a wider host", { match: { host: "x.a.b", path: "/c" } }, { match: { host: "*.b" }, priority: 1 }],
    ["a wildcard of a wildcard", { match: { host: "*.a.b" } }, { match: { host: "*.b" }, priority: 1 }],
    [
      "fewer conditions",
      { match: { methods: ["GET"], listener: "web" } },
      { match: { listener: "web" }, priority: 1 },
    ],
    ["a higher priority of two", { match: { path: "/a" }, priority: -2 }, { match: {}, priority: -1 }],
  ])("are refused when one hides the other by %s", (_, hidden, hiding) => {
    const said = "never matches: /routes/%d takes all of its requests with priority";
    expect(faults(hidden, hiding)).toEqual([
      expect.stringContaining(`/routes/0/match ${said.replace("%d", "1")}`),
    ]);
    expect(faults(hiding, hidden)).toEqual([
      expect.stringContaining(`/routes/1/match ${said.replace("%d", "0")}`),
    ]);
  });
});

function serversOf(...names: [string, string]): [object, object] {
  const [a, b] = names.map((sni) => ({ match: { listener: "db", sni } }));
  return [a as object, b as object];
}

describe("all routes together", () => {
  test("have a bounded number of regular expressions, and of each host", () => {
    const routes = (count: number, perHost: number) =>
      Array.from({ length: count }, (_, i) => ({
        match: { host: `h${Math.floor(i / perHost)}.example`, pathRegex: `^/a${i}` },
      }));
    const { regexes, regexesPerHost } = ROUTING_LIMITS;
    expect(faults(...routes(regexes, regexesPerHost))).toEqual([]);
    expect(faults(...routes(regexes + 1, regexesPerHost))).toEqual([
      expect.stringContaining(`/routes/${regexes}/match/pathRegex more than ${regexes}`),
    ]);
    expect(faults(...routes(regexesPerHost + 1, regexes))).toEqual([
      expect.stringMatching(
        /^\/routes\/50\/match\/pathRegex more than 50 regular expressions for h0\.example/,
      ),
    ]);
  });

  test("are checked in a time that does not grow with their square", () => {
    const routes = Array.from({ length: 10_000 }, (_, i) => ({
      match: { host: `h${i % 100}.example.com`, path: `/a/b/c${i}/*`, headers: { x: String(i) } },
      priority: i % 7,
    }));
    const startedMs = performance.now();
    expect(faults(...routes)).toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(8_000);
  });

  test("may be split by one cookie over the same pools, not over others", () => {
    const split = (...names: string[]) => ({
      pools: names.map((pool) => ({ pool, weight: 1 })),
      sticky: { cookie: "version" },
    });
    const route = (path: string, ...names: string[]) => ({
      match: { path },
      pool: undefined,
      split: split(...names),
    });
    const without = ({ pool: _, ...rest }: { pool: undefined }) => rest;
    const check = (...routes: { pool: undefined }[]) => {
      const named = routes.map((one, i) => ({ name: `r${i}`, proxy: "dynamic", ...without(one) }));
      const all = [...pools, { name: "s", backends: [] }];
      const result = validateConfig({ listeners, pools: all, routes: named });
      return result.ok ? [] : result.problems.map(({ message }) => message);
    };
    expect(check(route("/a", "p", "q"), route("/b", "q", "p"))).toEqual([]);
    expect(check(route("/a", "p", "q"), route("/b", "p", "s"))).toEqual([
      expect.stringContaining("split over other pools"),
    ]);
  });
});
