import { mkdtempSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import { createOrigins, SILENT } from "./origins.ts";
import {
  answering,
  ask,
  certificate,
  eventually,
  OK,
  onCleanup,
  onHead,
  poolOf,
  start,
  startRaw,
} from "./test-support/world.ts";

function opened() {
  const origins = createOrigins({ clock: () => performance.now(), watcher: SILENT });
  onCleanup(() => origins.close());
  return origins;
}

const TLS_URL = "https://127.0.0.1:9";
const withTls = (tls: PoolDocument["tls"]) => poolOf(TLS_URL, { ...(tls && { tls }) });

describe("origins", () => {
  it("keep their connections over a configuration that changes others", async () => {
    const backend = await answering(OK);
    const origins = opened();
    origins.configure([poolOf(backend.url)]);
    await ask(origins.get("p", backend.url));
    origins.configure([poolOf(backend.url), poolOf("http://127.0.0.1:1", { name: "q" })]);
    await ask(origins.get("p", backend.url));
    expect(backend.sockets).toHaveLength(1);
  });

  it("are shared by pools of the same settings, and only by those", async () => {
    const backend = await answering(OK);
    const origins = opened();
    const other = (more: Partial<PoolDocument>) => poolOf(backend.url, { name: "q", ...more });
    origins.configure([poolOf(backend.url), other({})]);
    expect(origins.get("q", backend.url)).toBe(origins.get("p", backend.url));
    const differences: Partial<PoolDocument>[] = [
      { connectTimeoutMs: 9 },
      { idleConnectionMs: 9 },
      { maxConnections: 9 },
      { http: "2" },
    ];
    for (const more of differences) {
      origins.configure([poolOf(backend.url), other(more)]);
      expect(origins.get("q", backend.url)).not.toBe(origins.get("p", backend.url));
    }
  });

  it("that a configuration drops end their requests and close", async () => {
    const held: Socket[] = [];
    const backend = await startRaw((socket) => onHead(socket, () => void held.push(socket)));
    const origins = opened();
    origins.configure([poolOf(backend.url)]);
    const running = start(origins.get("p", backend.url));
    await eventually(() => held.length === 1, "the request");
    origins.configure([]);
    expect(backend.open()).toBe(1);
    held[0]?.write(OK);
    await eventually(() => running.ended, "the answer");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("that a configuration drops close their idle connections at once", async () => {
    const backend = await answering(OK);
    const origins = opened();
    origins.configure([poolOf(backend.url)]);
    await ask(origins.get("p", backend.url));
    origins.configure([]);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("of a pool that is gone say so, and do not connect", async () => {
    const backend = await answering(OK);
    const origins = opened();
    origins.configure([poolOf(backend.url)]);
    origins.configure([]);
    const { fault, outgoing } = await ask(origins.get("p", backend.url));
    expect([fault, outgoing?.sent]).toEqual(["dropped", false]);
    expect(backend.sockets).toHaveLength(0);
  });

  it("can be had for a backend that the scheduler knows before this gateway does, and stay when it does", async () => {
    const backend = await answering(OK);
    const origins = opened();
    origins.configure([poolOf("http://127.0.0.1:1")]);
    expect((await ask(origins.get("p", backend.url))).text).toBe("ok");
    origins.configure([poolOf(backend.url)]);
    expect((await ask(origins.get("p", backend.url))).text).toBe("ok");
    expect(backend.sockets).toHaveLength(1);
    origins.configure([poolOf("http://127.0.0.1:1")]);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("are not for backends that speak no HTTP", async () => {
    const origins = opened();
    origins.configure([poolOf("tcp://127.0.0.1:1")]);
    expect((await ask(origins.get("p", "tcp://127.0.0.1:1"))).fault).toBe("dropped");
  });

  it("hear nothing of an attempt that was aborted before it could fail", async () => {
    const attempt = start(opened().get("p", "http://127.0.0.1:1"));
    attempt.outgoing?.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(attempt.told).toEqual([]);
  });
});

describe("the TLS files of a pool", () => {
  const directory = mkdtempSync(join(tmpdir(), "evenkeel-upstream-"));
  const garbage = join(directory, "garbage.pem");
  writeFileSync(garbage, "nothing of use");
  const broken = join(directory, "broken.pem");
  writeFileSync(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const cert = certificate("client.pem");

  it.each<[string, PoolDocument["tls"], string]>([
    [
      "an authority that is not there",
      { ca: "/nowhere/ca.pem" },
      "tls.ca: /nowhere/ca.pem cannot be read: ENOENT",
    ],
    ["an authority that is none", { ca: garbage }, `tls.ca: ${garbage} holds no certificate in PEM form`],
    [
      "an authority that is broken",
      { ca: broken },
      `tls.ca: certificate 1 of ${broken} cannot be understood`,
    ],
    [
      "a certificate that is none",
      { cert: garbage, key: certificate("client.key") },
      `tls.cert: ${garbage} holds no certificate`,
    ],
    ["a key that is none", { cert, key: garbage }, `tls.key: ${garbage} holds no private key`],
    [
      "a key of another certificate",
      { cert, key: certificate("a.key") },
      "does not belong to the certificate in",
    ],
  ])(
    "with %s are refused by name of pool and file, and nothing is connected to without them",
    async (_, tls, message) => {
      const origins = opened();
      const errors = origins.configure([withTls(tls)]);
      expect(errors).toHaveLength(1);
      expect(errors[0]).toMatch(/^pool "p": /);
      expect(errors[0]).toContain(message);
      expect(errors[0]).toMatch(/; it cannot be connected to$/);
      const { fault, outgoing } = await ask(origins.get("p", TLS_URL));
      expect([fault, outgoing?.sent]).toEqual(["tls", false]);
    },
  );

  it("that are broken leave those before in force", () => {
    const origins = opened();
    expect(origins.configure([withTls({ ca: certificate("ca.pem") })])).toEqual([]);
    const before = origins.get("p", TLS_URL);
    expect(origins.configure([withTls({ ca: garbage })])).toEqual([
      expect.stringContaining("what it had stays in force"),
    ]);
    expect(origins.get("p", TLS_URL)).toBe(before);
  });

  it("are read again with each configuration, and make new connections only when they have changed", () => {
    const file = join(directory, "ca.pem");
    const origins = opened();
    writeFileSync(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect(origins.configure([withTls({ ca: file })])).toHaveLength(1);
    expect(origins.configure([withTls({ ca: certificate("ca.pem") })])).toEqual([]);
    const first = origins.get("p", TLS_URL);
    expect(origins.configure([withTls({ ca: certificate("ca.pem") })])).toEqual([]);
    expect(origins.get("p", TLS_URL)).toBe(first);
    expect(origins.configure([withTls({ ca: certificate("other-ca.pem") })])).toEqual([]);
    expect(origins.get("p", TLS_URL)).not.toBe(first);
  });
});
