import { describe, expect, test } from "vitest";
import { MAX_TEXT_LENGTH, parseConfig } from "./parse.ts";

// Line numbers below count in this text.
const SOUND = `listeners:
  - { name: web, protocol: http, port: 8080, address: 127.0.0.1 }
  - { name: alt, protocol: http, port: 8081 }
routes:
  - name: shop
    match: { host: "*.example.com", path: /api/* }
    proxy: dynamic
    pool: shop
  - name: billing
    match: { path: /billing/* }
    proxy: static
    pool: billing
    backend: billing-1
pools:
  - name: shop
    policy: least-connections
    backends:
      - { id: shop-1, url: "http://127.0.0.1:9001", weight: 2, zone: eu, maxInflight: 100 }
      - { id: shop-2, url: "http://127.0.0.1:9002" }
    health: { protocol: http, path: /healthz, intervalMs: 1000, timeoutMs: 500, rise: 2, fall: 3 }
  - name: billing
    backends:
      - { id: billing-1, url: "http://[::1]:9003/" }
debugHeaders: true
trustedProxies: [10.0.0.0/8, "fd00::/8"]
`;

/** [what is wrong, text to replace, replacement, path, line, part of the message] */
// biome-ignore format: a table, one row per fault
const BROKEN: [string, string, string, string, number, string][] = [
  ["an unknown key, close to a known one", "policy: least", "polcy: least", "/pools/0/polcy", 16, 'did you mean "policy"?'],
  ["an unknown key, far from all", "debugHeaders: true", "banana: true", "/banana", 24, "known here: listeners, routes"],
  ["an unknown key of a route's match", "{ path: /billing/* }", "{ pth: /billing/* }", "/routes/1/match/pth", 10, 'did you mean "path"?'],
  ["an unknown key of a backend", "zone: eu", "region: eu", "/pools/0/backends/0/region", 18, 'unknown key "region"'],
  ["a port as text", "port: 8081", 'port: "8081"', "/listeners/1/port", 3, 'must be a whole number, got "8081"'],
  ["a port out of range", "port: 8081", "port: 65536", "/listeners/1/port", 3, "from 0 to 65535, got 65536"],
  ["a weight of 0", "weight: 2", "weight: 0", "/pools/0/backends/0/weight", 18, "must be from 1 to 1000, got 0"],
  ["a negative weight", "weight: 2", "weight: -1", "/pools/0/backends/0/weight", 18, "got -1"],
  ["a fractional weight", "weight: 2", "weight: 1.5", "/pools/0/backends/0/weight", 18, "must be a whole number, got 1.5"],
  ["a value that is missing", "weight: 2", "weight:", "/pools/0/backends/0/weight", 18, "must be a whole number, got nothing"],
  ["a boolean as text", "debugHeaders: true", "debugHeaders: yes", "/debugHeaders", 24, 'must be true or false, got "yes"'],
  ["an unknown policy", "policy: least-connections", "policy: least-connection", "/pools/0/policy", 16, 'one of "least-connections", "round-robin"'],
  ["an unknown protocol", "protocol: http, port: 8081", "protocol: htp, port: 8081", "/listeners/1/protocol", 3, 'got "htp"; did you mean "http"?'],
  ["a name with a space", "name: alt", "name: al t", "/listeners/1/name", 3, 'letters, digits, ".", "_" or "-"'],
  ["a missing key", "    proxy: dynamic\n", "", "/routes/0/proxy", 5, 'key "proxy" is missing'],
  ["a list that is a mapping", "routes:", "routes: {}\nroutez:", "/routes", 4, "must be a list, got a mapping"],
  ["no listener", /^listeners:\n.*\n.*\n/.exec(SOUND)?.[0] as string, "listeners: []\n", "/listeners", 1, "at least 1 entry"],
  ["two listeners of one name", "name: alt", "name: web", "/listeners/1/name", 3, 'name "web" is already taken by /listeners/0/name'],
  ["two routes of one name", "name: billing\n    match", "name: shop\n    match", "/routes/1/name", 9, "already taken by /routes/0/name"],
  ["two pools of one name", "name: billing\n    backends", "name: shop\n    backends", "/pools/1/name", 21, "already taken by /pools/0/name"],
  ["two backends of one id", "id: shop-2", "id: shop-1", "/pools/0/backends/1/id", 19, 'id "shop-1" is already taken'],
  ["two backends of one url", "127.0.0.1:9002", "127.0.0.1:9001", "/pools/0/backends/1/url", 19, 'url "http://127.0.0.1:9001" is already taken'],
  ["a route to a missing pool", "pool: shop", "pool: shp", "/routes/0/pool", 8, 'there is no pool "shp"; did you mean "shop"?'],
  ["a static route without a backend", "    backend: billing-1\n", "", "/routes/1/backend", 9, "a static route is bound to one backend"],
  ["a static route to a backend its pool lacks", "backend: billing-1", "backend: billing-2", "/routes/1/backend", 13, 'pool "billing" has no backend "billing-2"; did you mean "billing-1"?'],
  ["a dynamic route with a backend", "proxy: static", "proxy: dynamic", "/routes/1/backend", 13, "only a static route has a backend"],
  ["a backend url without scheme", "http://127.0.0.1:9001", "127.0.0.1:9001", "/pools/0/backends/0/url", 18, "must be an origin such as"],
  ["a backend url of another scheme", "http://127.0.0.1:9001", "ftp://127.0.0.1:9001", "/pools/0/backends/0/url", 18, 'scheme "ftp" is not supported'],
  ["a backend url of a scheme without port", "http://127.0.0.1:9001", "tcp://127.0.0.1", "/pools/0/backends/0/url", 18, "has no port: tcp has none of its own"],
  ["a backend url with a path", "127.0.0.1:9001", "127.0.0.1:9001/api", "/pools/0/backends/0/url", 18, 'remove "/api"'],
  ["a backend url with a query", "127.0.0.1:9001", "127.0.0.1:9001?a=b", "/pools/0/backends/0/url", 18, 'remove "?a=b"'],
  ["a backend url with credentials", "//127.0.0.1:9001", "//u:p@127.0.0.1:9001", "/pools/0/backends/0/url", 18, "must not hold credentials"],
  ["a backend url with port 0", "127.0.0.1:9001", "127.0.0.1:0", "/pools/0/backends/0/url", 18, 'port "0" is not a whole number from 1'],
  ["a backend url with too high a port", "127.0.0.1:9001", "127.0.0.1:99999", "/pools/0/backends/0/url", 18, 'port "99999" is not'],
  ["a backend url with no such address", "127.0.0.1:9001", "999.0.0.1:9001", "/pools/0/backends/0/url", 18, "no valid host"],
  ["listeners that overlap by a wildcard", "port: 8081", "port: 8080", "/listeners/1/port", 3, "overlaps with 127.0.0.1 port 8080 of /listeners/0"],
  ["listeners that overlap by one address", "port: 8081", "port: 8080, address: 127.0.0.1", "/listeners/1/port", 3, "overlaps with"],
  ["a listener address that is a name", "address: 127.0.0.1", "address: localhost", "/listeners/0/address", 2, "must be an IP address"],
  ["a listener address out of range", "address: 127.0.0.1", "address: 127.0.0.256", "/listeners/0/address", 2, "must be an IP address"],
  ["two routes with one match", "{ path: /billing/* }", '{ host: "*.EXAMPLE.com", path: /api/* }', "/routes/1/match", 10, "already taken by /routes/0/match"],
  ["a wildcard inside a host", '"*.example.com"', "shop.*.com", "/routes/0/match/host", 6, "first label"],
  ["a host with a port", '"*.example.com"', '"example.com:80"', "/routes/0/match/host", 6, "must not hold a port"],
  ["a host with a character it may not have", '"*.example.com"', '"ex ample.com"', "/routes/0/match/host", 6, "not a valid label"],
  ["a path without a leading slash", "/api/*", "api/*", "/routes/0/match/path", 6, 'must start with "/"'],
  ["a wildcard inside a path", "/api/*", "/*/api", "/routes/0/match/path", 6, "last segment"],
  ["a wildcard that is part of a segment", "/api/*", "/api*", "/routes/0/match/path", 6, "last segment"],
  ["a path with a query", "/api/*", "/api?x=1", "/routes/0/match/path", 6, "query or fragment"],
  ["a path with dot segments", "/api/*", "/a/%2E./b", "/routes/0/match/path", 6, "segments . or .."],
  ["a path with an encoded slash", "/api/*", "/a%2Fb", "/routes/0/match/path", 6, "percent-encoded slash"],
  ["a probe that outlives its interval", "timeoutMs: 500", "timeoutMs: 1500", "/pools/0/health/timeoutMs", 20, "must not be longer than intervalMs (1000)"],
  ["a probe's query that cannot be sent", "path: /healthz", 'path: "/healthz?a b€"', "/pools/0/health/path", 20, "percent-encoded in a query"],
  ["a tcp probe with a path", "protocol: http, path: /healthz", "protocol: tcp, path: /healthz", "/pools/0/health/path", 20, "a tcp probe has no use for `path`"],
  ["a CIDR that is too narrow", "10.0.0.0/8", "10.0.0.0/33", "/trustedProxies/0", 25, 'prefix length "33"'],
  ["a CIDR without length", "10.0.0.0/8", "10.0.0.1", "/trustedProxies/0", 25, "a single address is written 10.0.0.1/32"],
  ["an IPv6 CIDR that is none", "fd00::/8", "fd00:::/8", "/trustedProxies/1", 25, "must be a network such as"],
  ["a key given twice", "debugHeaders: true", "debugHeaders: true\ndebugHeaders: false", "/debugHeaders", 25, 'key "debugHeaders" is given twice'],
  ["a key given twice, deep inside", "weight: 2", "weight: 2, weight: 3", "/pools/0/backends/0/weight", 18, "given twice"],
  ["broken YAML", "proxy: dynamic", "proxy: [dynamic", "", 8, "Flow sequence"],
];

describe("parseConfig", () => {
  test("accepts a sound document", () => {
    const parsed = parseConfig(SOUND, "sound.yaml");
    expect(parsed).toMatchObject({ ok: true, document: { debugHeaders: true } });
  });

  test("accepts JSON", () => {
    const parsed = parseConfig(SOUND, "sound.yaml");
    const text = JSON.stringify(parsed.ok && parsed.document, null, "\t");
    expect(parseConfig(text, "sound.json")).toEqual(parsed);
  });

  test.each(BROKEN)("names %s with its place", (_, from, to, path, line, message) => {
    expect(SOUND).toContain(from);
    const parsed = parseConfig(SOUND.replace(from, to), "broken.yaml");
    if (parsed.ok) expect.unreachable("accepted");
    const found = parsed.problems.filter((problem) => problem.path === path && problem.line === line);
    expect(found.map((problem) => problem.message).join(), JSON.stringify(parsed.problems)).toContain(
      message,
    );
  });

  test("says one thing once", () => {
    const parsed = parseConfig(SOUND.replace("weight: 2", "wieght: 2"), "broken.yaml");
    expect(parsed).toEqual({
      ok: false,
      problems: [
        {
          path: "/pools/0/backends/0/wieght",
          message: 'unknown key "wieght"; did you mean "weight"?',
          line: 18,
          column: 53,
        },
      ],
    });
  });

  test("collects faults of every kind in the order of the file", () => {
    const text = SOUND.replace("port: 8081", "port: no")
      .replace("pool: shop", "pool: gone")
      .replace("weight: 2", "weight: 0")
      .replace("10.0.0.0/8", "10.0.0.0/80");
    const parsed = parseConfig(text, "broken.yaml");
    expect(!parsed.ok && parsed.problems.map(({ line, path }) => [line, path])).toEqual([
      [3, "/listeners/1/port"],
      [8, "/routes/0/pool"],
      [18, "/pools/0/backends/0/weight"],
      [25, "/trustedProxies/0"],
    ]);
  });

  test.each([
    ["an empty text", "", "must be a mapping of keys to values, got nothing"],
    ["a lone word", "hello", 'got "hello"'],
    ["two documents", "a: 1\n---\nb: 2\n", "multiple documents"],
    ["a text that is too large", " ".repeat(MAX_TEXT_LENGTH + 1), "larger than 16 MiB"],
    ["nesting without end", "[".repeat(200_000), "call stack size exceeded"],
    ["aliases that stand for too much", aliasBomb(), "big.yaml cannot be read"],
  ])("refuses %s", (_, text, message) => {
    const parsed = parseConfig(text, "big.yaml");
    expect(!parsed.ok && parsed.problems.map((problem) => problem.message).join()).toContain(message);
  });

  test("finds the place of a fault behind an alias", () => {
    const text = SOUND.replace("health: {", "health: &probe {")
      .replace("rise: 2", "rise: 0")
      .replace("debugHeaders", "    health: *probe\ndebugHeaders");
    const parsed = parseConfig(text, "broken.yaml");
    expect(!parsed.ok && parsed.problems.map(({ line, path }) => [line, path])).toEqual([
      [20, "/pools/0/health/rise"],
      [20, "/pools/1/health/rise"],
    ]);
  });
});

function aliasBomb(): string {
  const rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i++)
    rows.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(", ")}]`,
    );
  return rows.join("\n");
}
