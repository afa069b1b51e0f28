import { describe, expect, test } from "vitest";
import { parseConfig } from "./parse.ts";
import { validateConfig } from "./validate.ts";

// Line numbers below count in this text.
const SOUND = `listeners: [{ name: web, protocol: http, port: 8080 }]
routes: []
trustedProxies: [10.0.0.0/8]
geography:
  zones:
    - { name: eu, latitude: 50.1, longitude: 8.7 }
    - { name: us, latitude: 39.0, longitude: -77.5 }
    - { name: office }
  distances:
    - { between: [office, eu], distance: 20 }
    - { between: [office, us], distance: 6500 }
  clients:
    header: x-client-zone
    networks:
      - { cidr: 192.0.2.0/24, zone: eu }
      - { cidr: "2001:db8::/32", zone: us }
    maxmind: /var/lib/cities.mmdb
pools:
  - name: near
    policy: geo
    geo: { spillAt: 50 }
    affinity: { cookie: near }
    backends:
      - { id: near-1, url: "http://10.0.0.1:80", zone: eu }
      - { id: near-2, url: "http://10.0.0.2:80", zone: us }
  - name: sum
    policy: criteria
    criteria:
      - { name: connections, weight: 1 }
      - { name: latency, weight: 0.5 }
      - { name: cpu, weight: 2, scale: 0.8 }
      - { name: queue.length, weight: 1 }
      - { name: cost, weight: 1 }
      - { name: distance, weight: 1 }
    reports:
      header: [cpu]
      agent: { path: /load?short, port: 9100, metrics: [queue.length] }
    health: { protocol: http, intervalMs: 1000 }
    backends:
      - { id: sum-1, url: "http://10.0.0.3:80", zone: eu, cost: 1.5 }
      - { id: sum-2, url: "http://10.0.0.4:80", zone: office }
  - name: keyed
    policy: hash
    hash: { key: cookie, name: user, bound: 1.5 }
    affinity: {}
    backends: [{ id: keyed-1, url: "http://10.0.0.5:80" }]
  - name: cheap
    policy: first
    slowStart: { windowMs: 0, fromPercent: 20 }
    panicPercent: 0
    backends:
      - { id: cheap-1, url: "http://10.0.0.6:80", maxInflight: 10 }
      - { id: cheap-2, url: "http://10.0.0.7:80" }
      - { id: spare-1, url: "http://10.0.0.8:80", maxInflight: 10, priority: 3 }
      - { id: spare-2, url: "http://10.0.0.9:80", priority: 3 }
`;

/** [what is wrong, text to replace, replacement, path, line, part of the message] */
// biome-ignore format: a table, one row per fault
const BROKEN: [string, string, string, string, number, string][] = [
  ["an unknown policy", "policy: first", "policy: frist", "/pools/3/policy", 48, 'got "frist"; did you mean "first"?'],
  ["a policy that is none of the nine", "policy: first", "policy: fastest", "/pools/3/policy", 48, '"least-connections", "round-robin", "least-time", "two-choices", "random", "first", "hash", "geo", "criteria"'],
  ["settings of policy hash with another", "policy: hash", "policy: random", "/pools/2/hash", 44, "policy random has no use for `hash`; remove it, or set policy: hash"],
  ["settings of policy geo with the default one", "    policy: geo\n", "    affinity: {}\n", "/pools/0/geo", 21, "policy least-connections has no use for `geo`"],
  ["criteria with another policy", "policy: criteria", "policy: least-time", "/pools/1/criteria", 28, "policy least-time has no use for `criteria`"],
  ["policy criteria without any", "policy: first", "policy: criteria", "/pools/3/criteria", 47, 'key "criteria" is missing'],
  ["no criterion in the list", "- { name: connections, weight: 1 }\n      - { name: latency, weight: 0.5 }\n      - { name: cpu, weight: 2, scale: 0.8 }\n      - { name: queue.length, weight: 1 }\n      - { name: cost, weight: 1 }\n      - { name: distance, weight: 1 }", "[]", "/pools/1/criteria", 28, "at least 1 entry"],
  ["a criterion twice", "name: latency", "name: connections", "/pools/1/criteria/1/name", 30, 'criterion "connections" is already taken by /pools/1/criteria/0/name'],
  ["a criterion nobody reports", "name: cpu", "name: memory", "/pools/1/criteria/2/name", 31, 'nobody reports "memory"'],
  ["a criterion nobody reports, close to a metric", "name: queue.length", "name: queue.lenght", "/pools/1/criteria/3/name", 32, 'did you mean "queue.length"?'],
  ["a criterion nobody reports, close to one that needs no report", "name: connections", "name: conections", "/pools/1/criteria/0/name", 29, 'did you mean "connections"?'],
  ["a criterion without reports", "    reports:\n      header: [cpu]\n      agent: { path: /load?short, port: 9100, metrics: [queue.length] }\n", "", "/pools/1/criteria/2/name", 31, 'nobody reports "cpu"'],
  ["a criterion of no name", "name: cpu", "name: 1cpu", "/pools/1/criteria/2/name", 31, 'the first a letter'],
  ["a criterion without weight", "name: latency, weight: 0.5", "name: latency", "/pools/1/criteria/1/weight", 30, 'key "weight" is missing'],
  ["a criterion of weight 0", "weight: 0.5", "weight: 0", "/pools/1/criteria/1/weight", 30, "must be more than 0 and at most 1000, got 0"],
  ["a negative scale", "scale: 0.8", "scale: -1", "/pools/1/criteria/2/scale", 31, "must be more than 0"],
  ["costs that count where no backend has one", ", cost: 1.5", "", "/pools/1/criteria/4/name", 33, "no backend of the pool has a `cost`"],
  ["a negative cost", "cost: 1.5", "cost: -1", "/pools/1/backends/0/cost", 40, "from 0 to 1000000000, got -1"],
  ["a metric named like a criterion that needs none", "header: [cpu]", "header: [cpu, errors]", "/pools/1/reports/header/1", 36, '"errors" is a criterion that needs no report'],
  ["a metric twice in a header", "header: [cpu]", "header: [cpu, cpu]", "/pools/1/reports/header/1", 36, 'metric "cpu" is already taken'],
  ["a metric twice of an agent", "[queue.length]", "[queue.length, queue.length]", "/pools/1/reports/agent/metrics/1", 37, "is already taken"],
  ["an agent that is asked for nothing", "metrics: [queue.length]", "metrics: []", "/pools/1/reports/agent", 37, "name `metrics`, `weight` or `drain`"],
  ["an agent that nobody asks", "    health: { protocol: http, intervalMs: 1000 }\n", "", "/pools/1/reports/agent", 37, "the pool needs `health`"],
  ["an agent asked too seldom", "intervalMs: 1000", "intervalMs: 6000", "/pools/1/health/intervalMs", 38, "with an agent, intervalMs must be at most 5000"],
  ["an agent's path without a slash", "path: /load?short", "path: load", "/pools/1/reports/agent/path", 37, 'must start with "/"'],
  ["an agent's path that cannot be sent", "path: /load?short", "path: /lo ad", "/pools/1/reports/agent/path", 37, "percent-encoded"],
  ["an agent's query that cannot be sent", "path: /load?short", 'path: "/load?short one"', "/pools/1/reports/agent/path", 37, "percent-encoded in a query"],
  ["an agent's path with a fragment", "path: /load?short", 'path: "/load?short#top"', "/pools/1/reports/agent/path", 37, "percent-encoded in a query"],
  ["an agent's port out of range", "port: 9100", "port: 0", "/pools/1/reports/agent/port", 37, "from 1 to 65535"],
  ["a hash without a key", "key: cookie, name", "name", "/pools/2/hash/key", 44, 'key "key" is missing'],
  ["an unknown hash key", "key: cookie", "key: cookies", "/pools/2/hash/key", 44, 'did you mean "cookie"?'],
  ["a cookie's hash without its name", ", name: user", "", "/pools/2/hash/name", 44, 'key "name" is missing: the cookie whose value is hashed'],
  ["a query parameter's hash without its name", "key: cookie, name: user", "key: query", "/pools/2/hash/name", 44, "the query parameter whose value"],
  ["a header's hash without its name", "key: cookie, name: user", "key: header", "/pools/2/hash/name", 44, "the header whose value"],
  ["an address's hash with a name", "key: cookie", "key: address", "/pools/2/hash/name", 44, "a request has only one address; remove `name`"],
  ["a path's hash with a name", "key: cookie", "key: path", "/pools/2/hash/name", 44, "only one path"],
  ["a header that can have no such name", "key: cookie, name: user", 'key: header, name: "x user"', "/pools/2/hash/name", 44, 'got "x user"'],
  ["a cookie that can have no such name", "name: user", 'name: "a;b"', "/pools/2/hash/name", 44, "must be 1 to 64 letters"],
  ["an empty name", "name: user", 'name: ""', "/pools/2/hash/name", 44, "must not be empty"],
  ["a bound that leaves no room", "bound: 1.5", "bound: 1", "/pools/2/hash/bound", 44, "must be from 1.01 to 100, got 1"],
  ["a session's cookie that is hashed", "name: user", "name: evenkeel", "/pools/2/affinity/cookie", 45, 'cookie "evenkeel" is hashed already'],
  ["one cookie for the sessions of two pools", "cookie: near", "cookie: evenkeel", "/pools/2/affinity/cookie", 45, "is already taken by /pools/0/affinity/cookie"],
  ["a cookie with a space", "cookie: near", 'cookie: "a b"', "/pools/0/affinity/cookie", 22, "must be 1 to 64 letters"],
  ["policy first where one never overflows", ", maxInflight: 10 }", " }", "/pools/3/backends/0/maxInflight", 52, 'those after "cheap-1" would never serve'],
  ["policy first where one of a later tier never overflows", "maxInflight: 10, priority: 3", "priority: 3", "/pools/3/backends/2/maxInflight", 54, 'those after "spare-1" would never serve'],
  ["a tier beyond the last", "maxInflight: 10, priority: 3", "priority: 10", "/pools/3/backends/2/priority", 54, "from 0 to 9"],
  ["a slow start of no time at all", "windowMs: 0", "windowMs: -1", "/pools/3/slowStart/windowMs", 49, "from 0 to"],
  ["a slow start from nothing", "fromPercent: 20", "fromPercent: 0", "/pools/3/slowStart/fromPercent", 49, "from 1 to 100"],
  ["a panic threshold past all", "panicPercent: 0", "panicPercent: 101", "/pools/3/panicPercent", 50, "from 0 to 100"],
  ["policy geo without geography", /geography:\n(?: .*\n)+/.exec(SOUND)?.[0] as string, "", "/pools/0/policy", 6, "policy geo needs `geography`"],
  ["criterion distance without geography", /geography:\n(?: .*\n)+/.exec(SOUND)?.[0] as string, "", "/pools/1/criteria/5/name", 20, "criterion distance needs `geography`"],
  ["policy geo with a backend anywhere", ", zone: us }\n  -", " }\n  -", "/pools/0/backends/1/zone", 25, 'key "zone" is missing: policy geo needs'],
  ["criterion distance with a backend anywhere", ", zone: office }", " }", "/pools/1/backends/1/zone", 41, 'key "zone" is missing: criterion distance needs'],
  ["policy geo with a backend in no zone of the geography", "zone: us }\n  -", "zone: usa }\n  -", "/pools/0/backends/1/zone", 25, '`geography` has no zone "usa"; did you mean "us"?'],
  ["a zone without a distance", "    - { between: [office, us], distance: 6500 }\n", "", "/geography/zones/2", 8, 'no distance between "office" and "us", which policy geo of pool "near" needs'],
  ["a zone twice", "name: office }", "name: eu }", "/geography/zones/2/name", 8, 'zone "eu" is already taken by /geography/zones/0/name'],
  ["half a place, without longitude", ", longitude: 8.7", "", "/geography/zones/0/longitude", 6, "a place has both, or neither"],
  ["half a place, without latitude", "latitude: 39.0, ", "", "/geography/zones/1/latitude", 7, "a place has both, or neither"],
  ["a latitude beyond the pole", "latitude: 50.1", "latitude: 90.1", "/geography/zones/0/latitude", 6, "from -90 to 90"],
  ["a distance to a zone that is not there", "[office, eu]", "[ofice, eu]", "/geography/distances/0/between/0", 10, 'has no zone "ofice"; did you mean "office"?'],
  ["a distance of a zone from itself", "[office, eu]", "[office, office]", "/geography/distances/0/between", 10, '"office" is no distance away from itself'],
  ["a distance between three", "[office, eu]", "[office, eu, us]", "/geography/distances/0/between", 10, "at most 2 entries"],
  ["a distance of one", "[office, eu]", "[office]", "/geography/distances/0/between", 10, "at least 2 entries"],
  ["one distance twice, the other way round", "[office, us]", "[eu, office]", "/geography/distances/1/between", 11, 'distance between "eu and office" is already taken by /geography/distances/0/between'],
  ["a negative distance", "distance: 20", "distance: -20", "/geography/distances/0/distance", 10, "got -20"],
  ["a network that is none", "192.0.2.0/24", "192.0.2.0/33", "/geography/clients/networks/0/cidr", 15, 'prefix length "33"'],
  ["a network of a zone that is not there", "192.0.2.0/24, zone: eu", "192.0.2.0/24, zone: ee", "/geography/clients/networks/0/zone", 15, '`geography` has no zone "ee"'],
  ["one network twice, spelled otherwise", "192.0.2.0/24", '"2001:DB8:0::1/32"', "/geography/clients/networks/1/cidr", 16, "is already taken by /geography/clients/networks/0/cidr"],
  ["a header that nobody is believed", "trustedProxies: [10.0.0.0/8]\n", "", "/geography/clients/header", 12, "`trustedProxies` has to name those"],
  ["a header that nobody is believed, for an empty list", "[10.0.0.0/8]", "[]", "/geography/clients/header", 13, "nobody is believed"],
  ["a header that can have no such name", "x-client-zone", "x client zone", "/geography/clients/header", 13, "must be 1 to 64 letters"],
];

const faultsOf = (text: string) => {
  const parsed = parseConfig(text, "broken.yaml");
  return parsed.ok ? [] : parsed.problems;
};

const parsedSound = parseConfig(SOUND, "sound.yaml");
const sound: unknown = parsedSound.ok && parsedSound.document;

function pathsOf(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...pathsOf(inner).map((path) => [key, ...path]),
  ]);
}

/** Undefined: takes it away. */
function put(root: unknown, path: readonly string[], value: unknown): void {
  const last = path.at(-1) as string;
  const parent = path.slice(0, -1).reduce((part, key) => part[key] as Parent, root as Parent);
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
}
type Parent = Record<string, unknown>;

describe("the rules of scheduling", () => {
  test("accept every policy with what it needs", () => {
    expect(faultsOf(SOUND)).toEqual([]);
  });

  test.each(BROKEN)("name %s with its place", (_, from, to, path, line, message) => {
    expect(SOUND).toContain(from);
    const faults = faultsOf(SOUND.replace(from, to));
    const found = faults.filter((fault) => fault.path === path && fault.line === line);
    expect(found.map((fault) => fault.message).join(), JSON.stringify(faults)).toContain(message);
  });

  test.each([
    ["reports that no criterion uses", "header: [cpu]", "header: [cpu, memory]"],
    ["the same metric from header and agent", "header: [cpu]", "header: [cpu, queue.length]"],
    [
      "policy hash by the client's address, without a word",
      "hash: { key: cookie, name: user, bound: 1.5 }",
      "",
    ],
    ["a tier with a gap before it, and none in the first", "priority: 3", "priority: 7"],
    [
      "a backend's zone outside of the geography where distance is no matter",
      "10.0.0.6:80",
      '10.0.0.6:80", zone: "mars',
    ],
    ["a network inside another", "2001:db8::/32", "192.0.2.0/25"],
    [
      "a pool that reckons with distance and has no backends yet",
      /backends:\n.*near-1.*\n.*near-2.*\n/.exec(SOUND)?.[0] as string,
      "backends: []\n",
    ],
    ["a cost of nothing", "cost: 1.5", "cost: 0"],
  ])("accept %s", (_, from, to) => {
    expect(SOUND).toContain(from);
    expect(faultsOf(SOUND.replace(from, to))).toEqual([]);
  });

  test.each([
    ["a zone's name", "name: office }", "name: of fice }", ["/geography/zones/2/name"]],
    ["a distance", "distance: 6500", "distance: far", ["/geography/distances/1/distance"]],
    ["a place", "latitude: 50.1", "latitude: north", ["/geography/zones/0/latitude"]],
    ["a reported metric", "header: [cpu]", "header: [7]", ["/pools/1/reports/header/0"]],
    ["all reports", "reports:", "reports: 7\n    xports:", ["/pools/1/reports", "/pools/1/xports"]],
    ["a policy", "policy: hash", "policy: 7", ["/pools/2/policy"]],
    ["the trusted proxies", "[10.0.0.0/8]", "all", ["/trustedProxies"]],
    ["the geography", "geography:", "geography: 7\nxography:", ["/geography", "/xography"]],
    ["a maxInflight", "maxInflight: 10 }", "maxInflight: x }", ["/pools/3/backends/0/maxInflight"]],
    ["a cookie's name", "cookie: near", "cookie: 7", ["/pools/0/affinity/cookie"]],
  ])("say nothing more of what hangs on %s that could not be read", (_, from, to, paths) => {
    expect(SOUND).toContain(from);
    expect(faultsOf(SOUND.replace(from, to)).map(({ path }) => path)).toEqual(paths);
  });

  test("answer for whatever is missing, or in place of what it should be", () => {
    for (const path of pathsOf(sound)) {
      for (const value of [undefined, 7, [{}]]) {
        const document = structuredClone(sound);
        put(document, path, value);
        expect(() => validateConfig(document), `${path.join("/")} = ${JSON.stringify(value)}`).not.toThrow();
      }
    }
  });

  test("name each pair without a distance once, however many pools need it", () => {
    const text = SOUND.replace("latitude: 39.0, longitude: -77.5", "").replace("zone: office", "zone: us");
    const faults = faultsOf(text);
    expect(faults.map(({ path, line }) => [path, line])).toEqual([["/geography/zones/1", 7]]);
    expect(faults[0]?.message).toContain(
      'no distance between "eu" and "us", which policy geo of pool "near"',
    );
  });

  test("name a file of locations that no zone has use for", () => {
    const text = SOUND.replaceAll(/, latitude: .*, longitude: .* }/g, " }").replace(
      "distances:",
      "distances:\n    - { between: [eu, us], distance: 6000 }",
    );
    expect(faultsOf(text).map(({ path, line }) => [path, line])).toEqual([
      ["/geography/clients/maxmind", 18],
    ]);
  });
});
