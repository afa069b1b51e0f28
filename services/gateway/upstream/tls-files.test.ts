import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CERTIFICATE_POLL_MS } from "../listeners/tls-contexts.ts";
import { MAX_FILE_BYTES } from "./backend-tls.ts";
import { createOrigins } from "./origins.ts";
import { createOriginsReport } from "./report.ts";
import {
  ask,
  certificate,
  eventually,
  OK,
  onCleanup,
  onHead,
  poolOf,
  start,
  startRawTls,
} from "./test-support/world.ts";
import { TlsFiles } from "./tls-files.ts";

const SERVER = { cert: readFileSync(certificate("a.pem")), key: readFileSync(certificate("a.key")) };

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** A file that holds this one. */
function fileOf(name: string) {
  const path = join(mkdtempSync(join(tmpdir(), "evenkeel-tls-files-")), "file.pem");
  copyFileSync(certificate(name), path);
  return { path, become: (other: string) => copyFileSync(certificate(other), path) };
}

/** Origins of a pool "p" that watch, and tell a report of their own. */
function watched(url: string, tls: PoolDocument["tls"]) {
  const metrics = createMetrics();
  const report = createOriginsReport(metrics, createLog("silent", { role: "gateway", id: "test" }));
  const reloads: (string | null)[] = [];
  const origins = createOrigins({
    clock: () => performance.now(),
    watcher: {
      onTlsState: report.onTlsState,
      onTlsReload(pool, error) {
        report.onTlsReload(pool, error);
        reloads.push(error);
      },
    },
  });
  onCleanup(() => origins.close());
  const errors = origins.configure([poolOf(url, { ...(tls && { tls }) })]);
  const stale = async () => {
    const found = await metrics.registry
      .getSingleMetric("evenkeel_gateway_backend_certificates_stale")
      ?.get();
    return found?.values.map(({ value, labels }) => [labels.pool, value]);
  };
  /** The next look has begun; the files are small. */
  const poll = () => void vi.advanceTimersByTime(CERTIFICATE_POLL_MS);
  return { origins, errors, reloads, stale, poll, get: () => origins.get("p", url) };
}

describe("TLS files of a pool that change", () => {
  it("serve the next connection, while requests on old ones end there", async () => {
    const held: Socket[] = [];
    const backend = await startRawTls(SERVER, (socket) => onHead(socket, () => void held.push(socket)));
    const ca = fileOf("ca.pem");
    const { get, reloads, poll } = watched(backend.url, { ca: ca.path });
    const running = start(get());
    await eventually(() => held.length === 1, "the request");
    ca.become("other-ca.pem");
    poll();
    await eventually(() => reloads.length === 1, "the reload");
    expect(reloads).toEqual([null]);
    expect((await ask(get())).fault).toBe("tls");
    held[0]?.write(OK);
    await eventually(() => running.over, "the end");
    expect([running.text, running.fault]).toEqual(["ok", null]);
    await eventually(() => backend.open() === 0, "the old connection to be closed");
  });

  it("bring what was missing when the configuration came", async () => {
    const backend = await startRawTls(SERVER, (socket) => onHead(socket, () => socket.write(OK)));
    const ca = fileOf("ca.pem");
    writeFileSync(ca.path, "");
    const { get, errors, reloads, stale, poll } = watched(backend.url, { ca: ca.path });
    expect(errors).toEqual([expect.stringContaining("holds no certificate")]);
    expect((await ask(get())).fault).toBe("tls");
    expect(await stale()).toEqual([["p", 1]]);
    ca.become("ca.pem");
    poll();
    await eventually(() => reloads.length === 1, "the reload");
    expect((await ask(get())).text).toBe("ok");
    expect(await stale()).toEqual([["p", 0]]);
  });

  it("keep the old ones in force when they are broken, and say so once", async () => {
    const shown: unknown[] = [];
    const backend = await startRawTls(
      { ...SERVER, requestCert: true, rejectUnauthorized: false },
      (socket) => {
        shown.push((socket as TLSSocket).getPeerCertificate().fingerprint256);
        onHead(socket, () => socket.write(OK));
      },
    );
    const [cert, key] = [fileOf("client.pem"), fileOf("client.key")];
    const tls = { ca: certificate("ca.pem"), cert: cert.path, key: key.path };
    const { get, reloads, stale, poll } = watched(backend.url, tls);
    cert.become("a.pem"); // its key comes later
    poll();
    await eventually(() => reloads.length === 1, "the fault");
    expect(reloads[0]).toMatch(/^pool "p": tls\.key: .* does not belong .*; what it had stays in force$/);
    expect(await stale()).toEqual([["p", 1]]);
    const before = get();
    expect((await ask(before)).text).toBe("ok");
    cert.become("b.pem");
    poll();
    key.become("b.key");
    await eventually(() => {
      poll();
      return reloads.length > 1;
    }, "the reload");
    expect(reloads.slice(1)).toEqual([null]);
    expect(get()).not.toBe(before);
    expect((await ask(get())).text).toBe("ok");
    const fingerprint = (name: string) => new X509Certificate(readFileSync(certificate(name))).fingerprint256;
    expect(shown).toEqual([fingerprint("client.pem"), fingerprint("b.pem")]);
    expect(await stale()).toEqual([["p", 0]]);
  });

  it("in nothing but their time are no news", async () => {
    const ca = fileOf("ca.pem");
    const { tls } = poolOf("https://127.0.0.1:9", { tls: { ca: ca.path } });
    const told: unknown[] = [];
    const watcher = { onTlsState: () => {}, onTlsReload: (...what: unknown[]) => void told.push(what) };
    const files = new TlsFiles("p", tls, null, watcher);
    const first = files.material;
    for (let i = 0; i < 2; i += 1) {
      utimesSync(ca.path, 1_000 + i, 1_000 + i);
      expect(await files.look(() => true)).toBe(false);
    }
    expect(files.material).toBe(first);
    expect(told).toEqual([]);
    ca.become("other-ca.pem");
    expect(await files.look(() => true)).toBe(true);
    expect(told).toEqual([["p", null]]);
  });

  it("are forgotten with their pool", async () => {
    const ca = fileOf("ca.pem");
    const { origins, reloads, stale, poll } = watched("https://127.0.0.1:9", { ca: ca.path });
    expect(await stale()).toEqual([["p", 0]]);
    ca.become("other-ca.pem");
    poll();
    origins.configure([]);
    expect(await stale()).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reloads).toEqual([]);
  });
});

describe("a TLS file", () => {
  it("that is larger than any of its kind is refused", () => {
    const { path } = fileOf("ca.pem");
    truncateSync(path, MAX_FILE_BYTES + 1);
    const { errors } = watched("https://127.0.0.1:9", { ca: path });
    expect(errors).toEqual([expect.stringContaining(`${path} is larger than ${MAX_FILE_BYTES} bytes`)]);
  });

  it("that is a directory is refused", () => {
    const { errors } = watched("https://127.0.0.1:9", { ca: tmpdir() });
    expect(errors).toEqual([expect.stringContaining(`tls.ca: ${tmpdir()} is not a file`)]);
  });
});
