import { describe, expect, it } from "vitest";
import { resolveConfig } from "./resolve.ts";
import type { ConfigDocument } from "./schema.ts";
import { validateConfig } from "./validate.ts";

const GEOGRAPHY = {
  zones: [
    { name: "eu", latitude: 50, longitude: 8 },
    { name: "us", latitude: 39, longitude: -77 },
  ],
};
const BACKEND = { id: "a", url: "http://10.0.0.1:80" };

/** @param discovery of the only pool @param pool what else it has */
const config = (discovery: unknown, pool: object = {}, more: object = {}) => ({
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [{ name: "shop", backends: [], discovery, ...pool }],
  ...more,
});

function problems(discovery: unknown, pool: object = {}, more: object = {}): string[] {
  const validation = validateConfig(config(discovery, pool, more));
  return validation.ok ? [] : validation.problems.map(({ path, message }) => `${path} ${message}`);
}

const DNS = { name: "shop.internal", port: 80 };
const FILE = { path: "shop.yaml" };
const GEO = { policy: "geo" };

describe("sound discovery", () => {
  it.each<[string, unknown, object?, object?]>([
    ["a file", { file: FILE }],
    ["addresses by DNS", { dns: { ...DNS, type: "AAAA", scheme: "https" } }],
    ["a name with a dot at its end", { dns: { ...DNS, name: "shop.internal." } }],
    ["services by DNS", { dns: { name: "_http._tcp.shop.internal", type: "SRV" } }],
    [
      "resolvers of every form",
      {
        dns: {
          ...DNS,
          resolvers: ["10.0.0.53", "10.0.0.53:5353", "fd00::53", "[fd00::53]", "[fd00::53]:53"],
        },
      },
    ],
    ["one interval", { dns: { ...DNS, minIntervalMs: 500, maxIntervalMs: 500 } }],
    ["a socket of Docker", { docker: { host: "unix:///run/docker.sock" } }],
    ["a host of Docker", { docker: { host: "http://10.0.0.7:2375" } }],
    ["a host of Docker on port 80", { docker: { host: "http://10.0.0.7:80" } }],
    ["registration", { registration: { allow: ["10.0.0.0/8", "fd00::/8"] } }],
    ["all sources together", { file: FILE, dns: DNS, docker: {}, registration: { allow: ["10.0.0.0/8"] } }],
    ["policy first with a limit", { file: FILE, defaults: { maxInflight: 5 } }, { policy: "first" }],
    ["policy geo with a zone", { dns: DNS, defaults: { zone: "eu" } }, GEO, { geography: GEOGRAPHY }],
    ["policy geo where the source tells the zone", { file: FILE }, GEO, { geography: GEOGRAPHY }],
    [
      "records of another scheme of the same family",
      { dns: { ...DNS, scheme: "https" } },
      { backends: [BACKEND] },
    ],
  ])("takes %s", (_what, discovery, pool, more) => {
    expect(problems(discovery, pool, more)).toEqual([]);
  });

  it("has every default filled in", () => {
    const document = config({ file: FILE, dns: DNS, docker: {}, registration: { allow: ["10.0.0.0/8"] } });
    expect(resolveConfig(document as ConfigDocument).pools[0]?.discovery).toEqual({
      file: FILE,
      dns: {
        ...DNS,
        ...{ type: "A", scheme: "http", resolvers: [], minIntervalMs: 1_000, maxIntervalMs: 60_000 },
      },
      docker: { host: "unix:///var/run/docker.sock", network: null, intervalMs: 10_000 },
      registration: { allow: ["10.0.0.0/8"], ttlMs: 10_000, maxBackends: 1_000 },
      defaults: {},
      whenEmpty: "keep",
    });
  });
});

/** What is wrong → discovery, the place that is named, what is said of it, the pool's other settings. */
const FAULTY: [string, unknown, string, RegExp, object?, object?][] = [
  ["no source", {}, "", /file, dns, docker, registration/],
  ["no source but defaults", { defaults: { weight: 2 } }, "", /nothing to fill in/],
  ["A records without a port", { dns: { name: "x.internal" } }, "/dns/port", /A records name addresses only/],
  ["AAAA records without a port", { dns: { name: "x.internal", type: "AAAA" } }, "/dns/port", /AAAA/],
  ["SRV records with a port", { dns: { ...DNS, type: "SRV" } }, "/dns/port", /remove it/],
  ["an address for a name", { dns: { ...DNS, name: "10.0.0.1" } }, "/dns/name", /`backends`/],
  ["a wildcard for a name", { dns: { ...DNS, name: "*.internal" } }, "/dns/name", /without/],
  ["a url for a name", { dns: { ...DNS, name: "http://x" } }, "/dns/name", /scheme/],
  ["a name with a port", { dns: { ...DNS, name: "x.internal:80" } }, "/dns/name", /port/],
  ["an empty label", { dns: { ...DNS, name: "x..internal" } }, "/dns/name", /label/],
  [
    "a resolver that is a name",
    { dns: { ...DNS, resolvers: ["dns.internal"] } },
    "/dns/resolvers/0",
    /IP address/,
  ],
  [
    "a resolver's port of 0",
    { dns: { ...DNS, resolvers: ["10.0.0.1", "10.0.0.1:0"] } },
    "/dns/resolvers/1",
    /65535/,
  ],
  ["an empty resolver", { dns: { ...DNS, resolvers: [""] } }, "/dns/resolvers/0", /IP address/],
  ["an open bracket", { dns: { ...DNS, resolvers: ["[fd00::1"] } }, "/dns/resolvers/0", /IP address/],
  [
    "a minimum above the maximum",
    { dns: { ...DNS, minIntervalMs: 5_000, maxIntervalMs: 4_000 } },
    "/dns/minIntervalMs",
    /5000.*4000/,
  ],
  [
    "a maximum below the usual minimum",
    { dns: { ...DNS, maxIntervalMs: 500 } },
    "/dns/maxIntervalMs",
    /1000.*500/,
  ],
  [
    "records of another protocol",
    { dns: { ...DNS, scheme: "tcp" } },
    "/dns/scheme",
    /http:\/\/.*tcp:\/\//,
    { backends: [BACKEND] },
  ],
  ["Docker by ssh", { docker: { host: "ssh://x" } }, "/docker/host", /unix:\/\/\/path/],
  ["Docker by a relative path", { docker: { host: "unix://docker.sock" } }, "/docker/host", /root/],
  ["Docker without a port", { docker: { host: "http://10.0.0.7" } }, "/docker/host", /port/],
  ["Docker with a path", { docker: { host: "http://10.0.0.7:2375/v1" } }, "/docker/host", /end after/],
  [
    "Docker with credentials",
    { docker: { host: "http://u:p@10.0.0.7:2375" } },
    "/docker/host",
    /credentials/,
  ],
  [
    "an address for a network",
    { registration: { allow: ["10.0.0.1"] } },
    "/registration/allow/0",
    /10\.0\.0\.1\/32/,
  ],
  [
    "a network too long",
    { registration: { allow: ["10.0.0.0/8", "fd00::/129"] } },
    "/registration/allow/1",
    /0 to 128/,
  ],
  [
    "policy first without a limit",
    { file: FILE },
    "/defaults/maxInflight",
    /policy first/,
    { policy: "first" },
  ],
  [
    "policy first with other defaults",
    { file: FILE, defaults: { weight: 1 } },
    "/defaults/maxInflight",
    /policy first/,
    { policy: "first" },
  ],
  ["policy geo by DNS without a zone", { dns: DNS }, "/defaults/zone", /DNS/, GEO, { geography: GEOGRAPHY }],
  [
    "policy geo with an unknown zone",
    { dns: DNS, defaults: { zone: "eu1" } },
    "/defaults/zone",
    /"eu1".*"eu"/,
    GEO,
    { geography: GEOGRAPHY },
  ],
];

describe("faulty discovery", () => {
  it.each(FAULTY)("names %s, at its place, and nothing else", (_what, discovery, path, text, pool, more) => {
    const found = problems(discovery, pool, more);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(text);
    expect(found[0]?.split(" ")[0]).toBe(`/pools/0/discovery${path}`);
  });

  it("names a configured backend that would never let those found after it serve", () => {
    const backends = [
      { ...BACKEND, maxInflight: 3 },
      { id: "b", url: "http://10.0.0.2:80" },
    ];
    const discovery = { file: FILE, defaults: { maxInflight: 5 } };
    const found = problems(discovery, { policy: "first", backends });
    expect(found).toEqual([expect.stringMatching(/^\/pools\/0\/backends\/1\/maxInflight .*"b"/)]);
  });

  it("keeps static and hybrid routes to backends that the configuration names", () => {
    const route = { name: "r", match: {}, proxy: "static", pool: "shop", backend: "found-1" };
    expect(problems({ file: FILE }, {}, { routes: [route] })).toEqual([
      expect.stringMatching(/^\/routes\/0\/backend .*no backend "found-1"/),
    ]);
  });

  it("says nothing of what could not be read", () => {
    const broken = {
      file: 5,
      dns: { name: 5, port: "x" },
      docker: [],
      registration: { allow: [1] },
      defaults: 7,
    };
    for (const found of problems(broken)) expect(found).not.toMatch(/missing/);
  });
});
