import { describe, expect, test } from "vitest";
import { parseConfig } from "./parse.ts";
import { resolveConfig } from "./resolve.ts";
import { DEFAULT_HTTP_LIMITS } from "./resolve-listeners.ts";
import type { ListenerDocument } from "./schema.ts";
import { validateConfig } from "./validate.ts";

const CERTIFICATES = [{ cert: "/c/a.pem", key: "/c/a.key" }];

const faultsOf = (listener: Record<string, unknown>) => {
  const whole = { name: "web", protocol: "http", port: 8443, ...listener };
  const parsed = validateConfig({ listeners: [whole], routes: [], pools: [] });
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`);
};

const resolved = (listener: Partial<ListenerDocument>) =>
  resolveConfig({
    listeners: [{ name: "web", protocol: "http", port: 8443, ...listener }],
    routes: [],
    pools: [],
  }).listeners[0];

describe("what belongs to a listener", () => {
  test.each([
    ["a plain one", {}],
    ["TLS on http", { tls: { certificates: CERTIFICATES } }],
    ["TLS on tcp", { protocol: "tcp", tls: { certificates: CERTIFICATES } }],
    ["mutual TLS", { tls: { certificates: CERTIFICATES, clientCa: "/c/ca.pem", clientAuth: "request" } }],
    ["no HTTP/2", { http2: false }],
    ["limits", { limits: { headerBytes: 32_768, streams: 10, connectionsPerAddress: 20 } }],
  ])("%s is accepted", (_, listener) => {
    expect(faultsOf(listener).filter((fault) => !fault.includes("pool"))).toEqual([]);
  });

  test.each([
    ["tls without certificates", { tls: {} }, "/listeners/0/tls"],
    ["tls with none", { tls: { certificates: [] } }, "/listeners/0/tls/certificates"],
    [
      "a certificate without key",
      { tls: { certificates: [{ cert: "a" }] } },
      "/listeners/0/tls/certificates/0",
    ],
    [
      "a certificate twice",
      { tls: { certificates: [...CERTIFICATES, ...CERTIFICATES] } },
      "/listeners/0/tls/certificates/1/cert",
    ],
    ["an old TLS", { tls: { certificates: CERTIFICATES, minVersion: "1.1" } }, "minVersion"],
    ["tls that ends on passthrough", { protocol: "tls", tls: { certificates: CERTIFICATES } }, "unread"],
    ["tls on udp", { protocol: "udp", tls: { certificates: CERTIFICATES } }, "not on udp"],
    [
      "clientAuth without clientCa",
      { tls: { certificates: CERTIFICATES, clientAuth: "require" } },
      "needs `clientCa`",
    ],
    [
      "clientCa that nobody is asked for",
      { tls: { certificates: CERTIFICATES, clientAuth: "none", clientCa: "/c/ca.pem" } },
      "remove `clientCa`",
    ],
    ["HTTP/2 on tcp", { protocol: "tcp", http2: true }, "/listeners/0/http2"],
    ["limits on udp", { protocol: "udp", limits: {} }, "/listeners/0/limits"],
    ["a limit of nothing", { limits: { connections: 0 } }, "/listeners/0/limits/connections"],
    ["an unknown limit", { limits: { conections: 1 } }, "conections"],
  ])("%s is refused", (_, listener, place) => {
    expect(faultsOf(listener).join("\n")).toContain(place);
  });

  test("is told with its line", () => {
    const text =
      "listeners:\n  - name: db\n    protocol: tcp\n    port: 1\n    http2: true\nroutes: []\npools: []\n";
    const parsed = parseConfig(text, "config.yaml");
    expect(parsed.ok ? [] : parsed.problems).toContainEqual(expect.objectContaining({ line: 5 }));
  });
});

describe("what is not said", () => {
  test("has defaults", () => {
    expect(resolved({})).toMatchObject({ http2: true, tls: null, limits: DEFAULT_HTTP_LIMITS });
    expect(resolved({ limits: { streams: 7 } })?.limits).toEqual({ ...DEFAULT_HTTP_LIMITS, streams: 7 });
  });

  test("of TLS is 1.2, and clients are asked for a certificate exactly where somebody may sign one", () => {
    const tls = { certificates: CERTIFICATES };
    expect(resolved({ tls })?.tls).toEqual({ ...tls, minVersion: "1.2", clientCa: null, clientAuth: "none" });
    expect(resolved({ tls: { ...tls, clientCa: "ca" } })?.tls?.clientAuth).toBe("require");
    expect(resolved({ tls: { ...tls, clientCa: "ca", clientAuth: "request" } })?.tls?.clientAuth).toBe(
      "request",
    );
  });
});
