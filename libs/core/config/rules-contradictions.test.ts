// What each part of a configuration may say, but not beside the other: told with its place and reason.
import { describe, expect, test } from "vitest";
import { validateConfig } from "./validate.ts";

const WEB = { name: "web", protocol: "http", port: 8080 };
const SECURE = { ...WEB, tls: { certificates: [{ cert: "/c", key: "/k" }] } };
const DIGEST = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const KEYS = { keys: [{ name: "partner", sha256: DIGEST }] };
const JWT = { jwks: "https://id.example/jwks.json", issuer: "i", audiences: ["a"] };
const pool = (name: string, url: string, more: object = {}) => ({
  name,
  backends: [{ id: "b", url }],
  ...more,
});
const POOLS = [pool("p", "http://a"), pool("q", "http://b")];

interface Parts {
  listener?: object;
  route?: object;
  pools?: object[];
}

function faults({ listener = WEB, route, pools = POOLS }: Parts): string[] {
  const served = { name: "r", match: {}, proxy: "dynamic", pool: "p" };
  const routes = route === undefined ? [] : [{ ...("redirect" in route ? { name: "r" } : served), ...route }];
  const result = validateConfig({ listeners: [listener], routes, pools });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

const access = (said: object, headers?: object): Parts => ({
  route: { access: said, ...(headers ? { headers: { request: headers } } : {}) },
});
const redirect = (match: object, to: object): Parts => ({ route: { match, redirect: to } });
const strip = (path: string, stripPrefix: string): Parts => ({
  route: { match: { path }, rewrite: { stripPrefix } },
});

describe("contradictions", () => {
  test.each<[string, Parts, string]>([
    [
      "a mirror of the pool that serves",
      { route: { mirror: { pool: "p" } } },
      '/routes/0/mirror/pool: pool "p" serves this route already',
    ],
    [
      "networks that are all denied",
      access({ allow: ["10.1.0.0/16", "fd00::1/128"], deny: ["10.0.0.0/8", "fd00::/8"] }),
      "/routes/0/access/deny: takes everybody",
    ],
    ["everybody denied", access({ deny: ["0.0.0.0/0", "::/0"] }), "/routes/0/access/deny: takes everybody"],
    [
      "a consumer whom nobody knows",
      access({ allow: ["10.0.0.0/8"], consumerHeader: "x-user" }),
      "/routes/0/access/consumerHeader: nobody says who the consumer is",
    ],
    [
      "a credential that is passed on in the consumer's header",
      access({ apiKeys: { ...KEYS, header: "x-user", forward: true }, consumerHeader: "X-User" }),
      '/routes/0/access/consumerHeader: header "x-user" holds what /routes/0/access/apiKeys/forward passes on',
    ],
    [
      "two claims in what some backends read as one header",
      access({ jwt: { ...JWT, claimsToHeaders: { sub: "x-user", name: "x_user" } } }),
      '/routes/0/access/jwt/claimsToHeaders/name: header "x-user" is already taken',
    ],
    [
      "a claim in what some backends read as a framing header",
      access({ jwt: { ...JWT, claimsToHeaders: { sub: "content_length" } } }),
      '/routes/0/access/jwt/claimsToHeaders/sub: "content-length" belongs to the proxy',
    ],
    [
      "a header rule that removes what access says",
      access({ apiKeys: KEYS, consumerHeader: "x-user" }, { remove: ["X_User"] }),
      '/routes/0/headers/request/remove/0: header "X_User" is set by /routes/0/access/consumerHeader',
    ],
    [
      "a header rule that says something else than access",
      access({ apiKeys: KEYS, consumerHeader: "x-user" }, { set: { "X-User": "root" } }),
      '/routes/0/headers/request/set/X-User: header "X-User" is set by',
    ],
    [
      "a redirect to its own path",
      redirect({ path: "/x" }, { path: "/x" }),
      "/routes/0/redirect: leads back",
    ],
    [
      "a redirect to its own host",
      redirect({ host: "a.example.com" }, { host: "A.example.com" }),
      "/routes/0/redirect: leads back",
    ],
    [
      "a redirect to TLS of what came by TLS",
      { listener: SECURE, ...redirect({}, { scheme: "https" }) },
      "/routes/0/redirect/scheme: its requests come by https already",
    ],
    [
      "a redirect to plain text of what came in plain text",
      redirect({ listener: "web" }, { scheme: "http" }),
      "/routes/0/redirect/scheme: its requests come by http already",
    ],
    [
      "a prefix to strip that no path has",
      strip("/api/*", "/apis"),
      "/routes/0/rewrite/stripPrefix: no path of the match `/api/*` begins with /apis",
    ],
    [
      "a method in small letters",
      { route: { match: { methods: ["get"] } } },
      '/routes/0/match/methods/0: case matters; did you mean "GET"?',
    ],
    [
      "an answer's time beyond that of the request",
      { route: { timeouts: { requestMs: 1_000, responseHeadersMs: 5_000 } } },
      "/routes/0/timeouts/responseHeadersMs: 5000 is never reached",
    ],
    [
      "more connections of an address than of all",
      { listener: { ...WEB, limits: { connections: 10, connectionsPerAddress: 20 } } },
      "/listeners/0/limits/connectionsPerAddress: 20 is never reached: connections allows 10",
    ],
    [
      "more streams of an address than of all",
      {
        listener: {
          ...{ name: "db", protocol: "tcp", port: 1 },
          streams: { maxConnections: 10, maxConnectionsPerAddress: 20 },
        },
      },
      "/listeners/0/streams/maxConnectionsPerAddress: 20 is never reached",
    ],
    [
      "more sessions of an address than of all",
      {
        listener: {
          ...{ name: "dns", protocol: "udp", port: 1 },
          datagrams: { maxSessions: 10, maxSessionsPerAddress: 20 },
        },
      },
      "/listeners/0/datagrams/maxSessionsPerAddress: 20 is never reached",
    ],
    [
      "a host where only server names are seen",
      {
        ...{ listener: { name: "mail", protocol: "tls", port: 1 }, pools: [pool("p", "tcp://a:1")] },
        route: { match: { listener: "mail", host: "mail.example.com" } },
      },
      "only HTTP has it; remove it, or use `sni`",
    ],
    [
      "a wait for a ClientHello that nobody sends",
      { listener: { name: "db", protocol: "tcp", port: 1, streams: { helloTimeoutMs: 100 } } },
      "/listeners/0/streams/helloTimeoutMs: only a tls listener waits",
    ],
    [
      "hedging of connections",
      { pools: [pool("t", "tcp://a:1", { hedge: {} })] },
      "/pools/0/hedge: backends of tcp:// have no use for `hedge`",
    ],
    [
      "a breaker of datagrams",
      { pools: [pool("u", "udp://a:1", { breaker: {} })] },
      "/pools/0/breaker: counts connects",
    ],
  ])("%s: refused", (_, parts, fault) => {
    const found = faults(parts);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(fault);
  });

  test.each<[string, Parts]>([
    ["a mirror of another pool", { route: { mirror: { pool: "q" } } }],
    ["some of the networks denied", access({ allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] })],
    ["one family denied", access({ deny: ["0.0.0.0/0"] })],
    [
      "a key's header that is not passed on",
      access({ apiKeys: { ...KEYS, header: "x-user" }, consumerHeader: "x-user" }),
    ],
    [
      "a token that is replaced unless told",
      access({ jwt: JWT, forwardAuth: { url: "http://a/", responseHeaders: ["authorization"] } }),
    ],
    ["another header set", access({ apiKeys: KEYS, consumerHeader: "x-user" }, { set: { "x-other": "1" } })],
    ["a redirect to TLS of what came in plain text", redirect({}, { scheme: "https" })],
    ["a redirect to another port of the same scheme", redirect({}, { scheme: "http", port: 81 })],
    ["a redirect to the host without www", redirect({ host: "www.example.com" }, { host: "example.com" })],
    ["a redirect from below a path to that path", redirect({ path: "/x/*" }, { path: "/x" })],
    ["a part of the prefix stripped", strip("/api/v1/*", "/api")],
    ["more than the prefix stripped where there is more", strip("/api/*", "/api/v1/")],
    ["a method that is nobody else's", { route: { match: { methods: ["purge"] } } }],
    ["times within the request's", { route: { timeouts: { requestMs: 60_000, idleMs: 5_000 } } }],
  ])("%s: accepted", (_, parts) => {
    expect(faults(parts)).toEqual([]);
  });
});
