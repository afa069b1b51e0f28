import { describe, expect, it } from "vitest";
import type { ConfigDocument, PoolDocument } from "./schema.ts";
import { validateConfig } from "./validate.ts";

const documentOf = (pool: object): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [{ name: "shop", backends: [{ id: "a", url: "http://10.0.0.1:80" }], ...pool } as PoolDocument],
});

function problemsOf(pool: object): string[] {
  const validation = validateConfig(documentOf(pool));
  return validation.ok ? [] : validation.problems.map(({ path, message }) => `${path} ${message}`);
}

const ofHealth = (health: object) => problemsOf({ health });
const at = (setting: string, message: string) => [`/pools/0/health/${setting} ${message}`];

describe("the rules of probes", () => {
  it.each([
    { protocol: "http" },
    {
      ...{ protocol: "http", method: "HEAD", path: "/healthz?deep=1", host: "shop.example:8080", port: 9000 },
      ...{ headers: { authorization: "Bearer x", "x-a": "" }, expectStatus: ["200", "300-399", "404"] },
      ...{ servername: "shop.example", intervalMs: 1_000, fastIntervalMs: 1_000, timeoutMs: 1_000 },
    },
    { protocol: "http", expectBody: "ready" },
    { protocol: "tcp", send: "PING\r\n", expect: "+PONG" },
    { protocol: "grpc", service: "shop.Cart", host: "cart", servername: "cart.example" },
  ])("accept what is sound: %j", (health) => {
    expect(ofHealth(health)).toEqual([]);
  });

  it.each([
    ["tcp", "path", "/x", "http"],
    ["tcp", "method", "GET", "http"],
    ["tcp", "headers", { a: "b" }, "http"],
    ["tcp", "expectStatus", ["200"], "http"],
    ["tcp", "expectBody", "ok", "http"],
    ["tcp", "host", "a", "http or grpc"],
    ["tcp", "servername", "a", "http or grpc"],
    ["http", "send", "PING", "tcp"],
    ["http", "expect", "PONG", "tcp"],
    ["http", "service", "shop", "grpc"],
    ["grpc", "path", "/x", "http"],
    ["grpc", "send", "PING", "tcp"],
  ])("refuse for protocol %s the setting %s", (protocol, setting, value, others) => {
    const message = `a ${protocol} probe has no use for \`${setting}\`; remove it, or use protocol ${others}`;
    expect(ofHealth({ protocol, [setting]: value })).toEqual(at(setting, message));
  });

  it.each([
    [{ timeoutMs: 2_001 }, "timeoutMs", "timeoutMs (2001) must not be longer than intervalMs (2000)"],
    [{ intervalMs: 900 }, "timeoutMs", "timeoutMs (1000) must not be longer than intervalMs (900)"],
    [
      { fastIntervalMs: 2_001 },
      "fastIntervalMs",
      "fastIntervalMs (2001) must not be longer than intervalMs (2000)",
    ],
  ])("refuse the paces %j", (paces, setting, message) => {
    expect(ofHealth({ protocol: "tcp", ...paces })).toEqual(at(setting, message));
  });

  it.each([
    ["a path that cannot be sent", { path: "/a b" }, "path"],
    ["a host that is none", { host: "a b" }, "host"],
    ["a host with a path", { host: "a/b" }, "host"],
    ["an address as the name of TLS", { servername: "10.0.0.1" }, "servername"],
    ["the header that has its own setting", { headers: { Host: "a" } }, "headers/Host"],
    ["a header that would announce a body", { headers: { "content-length": "3" } }, "headers/content-length"],
    ["a header that is given twice", { headers: { "x-a": "1", "X-A": "2" } }, "headers/X-A"],
    ["a header that breaks the request apart", { headers: { "x-a": "1\r\nx-b: 2" } }, "headers/x-a"],
    ["a range that falls", { expectStatus: ["399-200"] }, "expectStatus/0"],
    ["a body where there is none", { method: "HEAD", expectBody: "ok" }, "expectBody"],
  ])("refuse %s", (_what, settings, setting) => {
    const problems = ofHealth({ protocol: "http", ...settings });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^/pools/0/health/${setting} `));
  });
});

describe("the rules of ejection", () => {
  it("accept what is sound, also a short time that nobody bounded", () => {
    expect(problemsOf({ ejectMs: 600_000, eject: { statuses: ["500", "502-504"] } })).toEqual([]);
    expect(problemsOf({ eject: { maxMs: 10_000 } })).toEqual([]);
  });

  it("refuse ranges that fall, and a longest time shorter than the first", () => {
    expect(problemsOf({ ejectMs: 20_000, eject: { maxMs: 10_000, statuses: ["500", "504-502"] } })).toEqual([
      '/pools/0/eject/statuses/1 must rise; got "504-502"',
      "/pools/0/eject/maxMs maxMs (10000) must not be shorter than ejectMs (20000)",
    ]);
  });
});

describe("the rules of agents", () => {
  const asking = (agent: object) =>
    problemsOf({ health: { protocol: "tcp" }, reports: { agent: { path: "/load", ...agent } } });

  it.each([{ metrics: ["cpu"] }, { weight: "weight" }, { drain: "drain" }, { weight: "w", drain: "d" }])(
    "accept one that is asked for something: %j",
    (agent) => {
      expect(asking(agent)).toEqual([]);
    },
  );

  it.each([{}, { metrics: [] }])("refuse one that is asked for nothing: %j", (agent) => {
    expect(asking(agent)).toEqual([
      "/pools/0/reports/agent is asked for nothing: name `metrics`, `weight` or `drain`",
    ]);
  });
});
