import { describe, expect, test } from "vitest";
import { resolvePool } from "./resolve.ts";
import { validateConfig } from "./validate.ts";

const listener = { name: "web", protocol: "http", port: 8080 };

const faults = (pool: object, routes: object[] = []) => {
  const result = validateConfig({ listeners: [listener], routes, pools: [{ name: "p", ...pool }] });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
};

const of = (...urls: string[]) => ({ backends: urls.map((url, i) => ({ id: `b${i}`, url })) });

describe("how backends are spoken to", () => {
  test.each<[string, object]>([
    ["http and https in one pool", of("http://a", "https://b")],
    ["TLS settings for some https", { ...of("http://a", "https://b"), tls: { verify: false } }],
    [
      "an authority, and a certificate with its key",
      { ...of("https://b"), tls: { ca: "/ca", cert: "/c", key: "/k" } },
    ],
    ["HTTP/2 with prior knowledge", { ...of("http://a"), http: "2" }],
    ["the PROXY protocol to TCP backends", { ...of("tcp://a:1"), sendProxyProtocol: "v2" }],
    ["UDP backends", of("udp://a:53", "udp://b:53")],
    ["settings of a pool whose backends come later", { backends: [], tls: { ca: "/ca" }, http: "2" }],
  ])("may be %s", (_, pool) => {
    expect(faults(pool)).toEqual([]);
  });

  test.each<[string, object, string]>([
    [
      "tcp beside http",
      of("http://a", "tcp://b:1"),
      "/pools/0/backends/1/url: a pool is served by one protocol",
    ],
    [
      "udp beside tcp",
      of("tcp://a:1", "udp://b:1"),
      "/pools/0/backends/1/url: a pool is served by one protocol",
    ],
    [
      "TLS settings without https",
      { ...of("http://a"), tls: { verify: false } },
      "/pools/0/tls: no backend of the pool is spoken to by TLS",
    ],
    [
      "TLS settings for tcp",
      { ...of("tcp://a:1"), tls: {} },
      "/pools/0/tls: backends of tcp:// have no use for `tls`",
    ],
    [
      "HTTP/2 for tcp",
      { ...of("tcp://a:1"), http: "2" },
      "/pools/0/http: backends of tcp:// have no use for `http`",
    ],
    [
      "idle connections of udp",
      { ...of("udp://a:1"), idleConnectionMs: 1 },
      "/pools/0/idleConnectionMs: backends of udp://",
    ],
    [
      "a certificate without key",
      { ...of("https://a"), tls: { cert: "/c" } },
      '/pools/0/tls/key: key "key" is missing',
    ],
    [
      "a key without certificate",
      { ...of("https://a"), tls: { key: "/k" } },
      '/pools/0/tls/cert: key "cert" is missing',
    ],
    [
      "an authority that nobody asks",
      { ...of("https://a"), tls: { verify: false, ca: "/ca" } },
      "/pools/0/tls/ca: with `verify: false` nobody",
    ],
    [
      "the PROXY protocol with HTTP/2",
      { ...of("http://a"), http: "2", sendProxyProtocol: "v1" },
      "/pools/0/sendProxyProtocol: names one client",
    ],
    [
      "the PROXY protocol for udp",
      { ...of("udp://a:1"), sendProxyProtocol: "v2" },
      "/pools/0/sendProxyProtocol: is for connections",
    ],
    [
      "a version of HTTP that is a number",
      { ...of("http://a"), http: 2 },
      '/pools/0/http: must be one of "1.1", "2", got 2; YAML takes it for a number, so put it in quotes',
    ],
    [
      "an unknown version of TLS",
      { ...of("https://a"), tls: { minVersion: "1.1" } },
      "/pools/0/tls/minVersion: must be one of",
    ],
    [
      "a bound of no connections",
      { ...of("http://a"), maxConnections: 0 },
      "/pools/0/maxConnections: must be from 1 to",
    ],
    [
      "a bound that no process can keep",
      { ...of("http://a"), maxConnections: 100_001 },
      "/pools/0/maxConnections: must be from 1 to",
    ],
    [
      "an empty path of a file",
      { ...of("https://a"), tls: { ca: "" } },
      "/pools/0/tls/ca: must not be empty",
    ],
  ])("is not %s", (_, pool, message) => {
    const found = faults(pool);
    expect(found.join("\n")).toContain(message);
    expect(found).toHaveLength(1);
  });

  test("is HTTP where a route leads to", () => {
    const route = { name: "r", match: {}, proxy: "dynamic", pool: "p" };
    expect(faults(of("https://a"), [route])).toEqual([]);
    expect(faults(of("tcp://a:1"), [route])).toEqual([
      '/routes/0/pool: the backends of pool "p" are of tcp://; a route needs such of http:// or https://',
    ]);
  });

  test("has defaults for everything", () => {
    const { backends, ...rest } = resolvePool({ name: "p", backends: [{ id: "b", url: "tcp://A:80" }] });
    expect(backends[0]?.url).toBe("tcp://a:80");
    expect(rest).toMatchObject({
      connectTimeoutMs: 2_000,
      idleConnectionMs: 4_000,
      maxConnections: 10_240,
      http: "1.1",
      tls: { ca: null, servername: null, verify: true, cert: null, key: null, minVersion: "1.2" },
      sendProxyProtocol: null,
    });
  });
});
