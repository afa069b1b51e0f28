import { describe, expect, test } from "vitest";
import { resolveConfig } from "./resolve.ts";
import type { ConfigDocument } from "./schema.ts";
import { validateConfig } from "./validate.ts";

const faults = (listener: object) => {
  const listeners = [{ name: "l", port: 9000, ...listener }];
  const result = validateConfig({ listeners, routes: [], pools: [] });
  return result.ok ? [] : result.problems;
};

describe("options of listeners below HTTP", () => {
  test.each([
    ["a tcp listener with nothing else", { protocol: "tcp" }],
    [
      "every bound of a tls listener",
      {
        protocol: "tls",
        streams: { idleMs: 1_000, maxConnections: 1, maxConnectionsPerAddress: 1, helloTimeoutMs: 100 },
      },
    ],
    [
      "every bound of a udp listener",
      {
        protocol: "udp",
        datagrams: { idleMs: 1_000, maxSessions: 1, maxSessionsPerAddress: 1, responses: 0 },
      },
    ],
    [
      "networks of both families",
      { protocol: "tcp", proxyProtocol: { trusted: ["10.0.0.0/8", "fd00::/8"] } },
    ],
    [
      "the PROXY protocol before HTTP",
      { protocol: "http", proxyProtocol: { trusted: ["10.0.0.0/8"], timeoutMs: 100 } },
    ],
  ])("may be %s", (_, listener) => {
    expect(faults(listener)).toEqual([]);
  });

  test.each([
    [
      "the PROXY protocol over udp",
      { protocol: "udp", proxyProtocol: { trusted: ["10.0.0.0/8"] } },
      "/listeners/0/proxyProtocol",
      "no meaning with protocol udp",
    ],
    [
      "bounds of connections on udp",
      { protocol: "udp", streams: {} },
      "/listeners/0/streams",
      "use `datagrams` for udp",
    ],
    [
      "bounds of connections on http",
      { protocol: "http", streams: {} },
      "/listeners/0/streams",
      "`limits` for http",
    ],
    [
      "bounds of sessions on tcp",
      { protocol: "tcp", datagrams: {} },
      "/listeners/0/datagrams",
      "sessions of udp",
    ],
    [
      "an address for a network",
      { protocol: "tcp", proxyProtocol: { trusted: ["10.0.0.1"] } },
      "/listeners/0/proxyProtocol/trusted/0",
      "10.0.0.1/32",
    ],
    [
      "what is no network",
      { protocol: "tcp", proxyProtocol: { trusted: ["lan"] } },
      "/listeners/0/proxyProtocol/trusted/0",
      'got "lan"',
    ],
    [
      "nobody to trust",
      { protocol: "tcp", proxyProtocol: { trusted: [] } },
      "/listeners/0/proxyProtocol/trusted",
      "",
    ],
    [
      "an unknown key",
      { protocol: "udp", datagrams: { response: 1 } },
      "/listeners/0/datagrams/response",
      "responses",
    ],
  ])("may not be %s", (_, listener, path, message) => {
    expect(faults(listener)).toEqual([{ path, message: expect.stringContaining(message) }]);
  });

  test("get every default", () => {
    const listeners: ConfigDocument["listeners"] = [
      { name: "a", protocol: "tcp", port: 1 },
      { name: "b", protocol: "udp", port: 2, datagrams: { responses: 1 } },
      {
        name: "c",
        protocol: "tls",
        port: 3,
        streams: { idleMs: 100 },
        proxyProtocol: { trusted: ["::1/128"] },
      },
    ];
    const [a, b, c] = resolveConfig({ listeners, routes: [], pools: [] }).listeners;
    expect(a).toMatchObject({
      proxyProtocol: null,
      streams: {
        idleMs: 3_600_000,
        maxConnections: 50_000,
        maxConnectionsPerAddress: null,
        helloTimeoutMs: 5_000,
      },
      datagrams: { idleMs: 30_000, maxSessions: 10_000, maxSessionsPerAddress: null, responses: null },
    });
    expect(b?.datagrams).toEqual({
      idleMs: 30_000,
      maxSessions: 10_000,
      maxSessionsPerAddress: null,
      responses: 1,
    });
    expect(c?.streams).toMatchObject({ idleMs: 100, maxConnections: 50_000 });
    expect(c?.proxyProtocol).toEqual({ trusted: ["::1/128"], timeoutMs: 5_000 });
  });
});

describe("routes of listeners below HTTP", () => {
  const listeners = [
    { name: "db", protocol: "tcp", port: 5432 },
    { name: "web", protocol: "http", port: 80 },
  ];
  const pools = [
    { name: "p", backends: [{ id: "b", url: "tcp://h:1" }] },
    { name: "q", backends: [{ id: "b", url: "http://h:2" }] },
  ];
  const problems = (...routes: object[]) => {
    const result = validateConfig({ listeners, pools, routes });
    return result.ok ? [] : result.problems;
  };
  const route = { name: "db", proxy: "dynamic", pool: "p", match: { listener: "db" } };
  const web = { name: "web", proxy: "dynamic", pool: "q", match: { listener: "web" } };
  const options = { timeouts: { idleMs: 1_000 }, maxBodyBytes: 1 };

  test("may be static or dynamic, with retries and networks", () => {
    expect(
      problems({ ...route, retries: 1, access: { allow: ["10.0.0.0/8"] } }, { ...web, ...options }),
    ).toEqual([]);
  });

  test("have no options of requests", () => {
    expect(problems({ ...route, ...options })).toEqual([
      { path: "/routes/0/timeouts", message: expect.stringContaining("streams.idleMs") },
      { path: "/routes/0/maxBodyBytes", message: expect.stringContaining("no bodies") },
    ]);
  });
});

describe("pools below HTTP", () => {
  const problems = (url: string, pool: object) => {
    const listeners = [{ name: "l", protocol: "tcp", port: 1 }];
    const pools = [{ name: "p", backends: [{ id: "b", url }], ...pool }];
    const result = validateConfig({ listeners, routes: [], pools });
    return result.ok ? [] : result.problems;
  };
  const byHeader = { policy: "hash", hash: { key: "header", name: "x-user" } };
  const byAddress = { policy: "hash", hash: { key: "address" } };

  test("may go by the address of a client", () => {
    for (const url of ["tcp://h:1", "udp://h:1", "http://h:1"]) expect(problems(url, byAddress)).toEqual([]);
    expect(problems("http://h:1", byHeader)).toEqual([]);
    expect(problems("http://h:1", { affinity: {} })).toEqual([]);
  });

  test("may not go by what only requests have", () => {
    expect(problems("tcp://h:1", byHeader)).toEqual([
      { path: "/pools/0/hash/key", message: expect.stringContaining("no header to hash") },
    ]);
    expect(problems("udp://h:1", { affinity: {} })).toEqual([
      { path: "/pools/0/affinity", message: expect.stringContaining("no cookie") },
    ]);
  });
});

describe("ports", () => {
  const on = (protocol: string, name: string) => ({ name, protocol, port: 53 });
  const problems = (...listeners: object[]) => {
    const result = validateConfig({ listeners, routes: [], pools: [] });
    return result.ok ? [] : result.problems;
  };

  test("of udp and tcp are different ones", () => {
    expect(problems(on("udp", "a"), on("tcp", "b"))).toEqual([]);
  });

  test("of two udp listeners, or of two over TCP, may not be the same", () => {
    expect(problems(on("udp", "a"), on("udp", "b"))).toMatchObject([{ path: "/listeners/1/port" }]);
    expect(problems(on("http", "a"), on("tls", "b"))).toMatchObject([{ path: "/listeners/1/port" }]);
  });
});
