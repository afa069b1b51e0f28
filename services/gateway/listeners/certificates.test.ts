import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { listenerOf, testOpeners } from "../test-support/http-listener.ts";
import { until } from "../test-support/http2.ts";
import { GET_1, pair, shown, startListener, TLS, tcp, tls } from "../test-support/listener-clients.ts";
import { createListeners, RETRY_MS } from "./listeners.ts";
import { CERTIFICATE_POLL_MS } from "./tls-contexts.ts";

describe("certificates that change", () => {
  /** Files that a test may replace. */
  function files() {
    const folder = mkdtempSync(join(tmpdir(), "evenkeel-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const certificate = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const put = (name: string, parts: readonly ("cert" | "key")[] = ["cert", "key"]) => {
      for (const part of parts) copyFileSync(pair(name)[part], certificate[part]);
    };
    put("a");
    return { certificate, put };
  }
  const fakeTimers = () => {
    const timers = vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    return timers;
  };

  it("are read again, and connections that are open stay", async () => {
    const timers = fakeTimers();
    const { certificate, put } = files();
    const { port, reloads, certificates } = await startListener({ tls: { certificates: [certificate] } });
    const old = await shown(port);
    const client = tls(port, {}, GET_1);
    await until(() => client.received().endsWith("ok"));
    put("a-renewed");
    timers.advanceTimersByTime(CERTIFICATE_POLL_MS);
    await until(() => reloads.length === 1);
    expect(reloads).toEqual([null]);
    expect((await shown(port)).fingerprint).not.toBe(old.fingerprint);
    client.socket.write(GET_1);
    await until(() => client.received().split("200 OK").length === 3);
    expect(certificates).toHaveLength(2);
    expect(certificates[1]?.[0]?.names).toEqual(["a.example", "localhost", "127.0.0.1"]);
    expect(new Date(certificates[1]?.[0]?.notAfterMs ?? 0).getUTCFullYear()).toBe(2120);
  });

  it("are not read again while they are the same", async () => {
    const timers = fakeTimers();
    const { certificate } = files();
    const { reloads, certificates } = await startListener({ tls: { certificates: [certificate] } });
    await timers.advanceTimersByTimeAsync(5 * CERTIFICATE_POLL_MS);
    expect([reloads, certificates.length]).toEqual([[], 1]);
  });

  it("stay what they were while only half of them is written, and become new with the other half", async () => {
    const timers = fakeTimers();
    const { certificate, put } = files();
    const { port, reloads, listeners } = await startListener({ tls: { certificates: [certificate] } });
    const old = await shown(port);
    put("a-renewed", ["cert"]);
    timers.advanceTimersByTime(CERTIFICATE_POLL_MS);
    await until(() => reloads.length === 1);
    expect(reloads[0]).toContain(`the key in ${certificate.key} is not the one of the certificate`);
    writeFileSync(certificate.key, "-----BEGIN PRIV");
    timers.advanceTimersByTime(CERTIFICATE_POLL_MS);
    await until(() => reloads.length === 2);
    expect(reloads[1]).toContain("holds no private key");
    expect(await shown(port)).toEqual(old);
    expect(listeners.failing()).toEqual([]);
    put("a-renewed");
    timers.advanceTimersByTime(CERTIFICATE_POLL_MS);
    await until(() => reloads.length === 3);
    expect(reloads[2]).toBe(null);
    expect(await shown(port)).not.toEqual(old);
  });

  it("by a configuration are in use when it is applied, without closing the listener", async () => {
    const { port, configure, listeners } = await startListener({ tls: { certificates: [pair("a")] } });
    const client = tls(port, {}, GET_1);
    await until(() => client.received().endsWith("ok"));
    expect(await configure({ tls: { certificates: [pair("b")] } })).toEqual([]);
    expect((await shown(port)).name).toBe("b.example");
    expect(listeners.open()[0]?.url).toBe(`https://127.0.0.1:${port}`);
    client.socket.write(GET_1);
    await until(() => client.received().split("200 OK").length === 3);
  });

  it("by a configuration that cannot be used are refused: the old ones go on, until the new ones can be", async () => {
    const timers = fakeTimers();
    const { certificate, put } = files();
    const { port, configure, listeners, reloads } = await startListener({
      tls: { certificates: [pair("b")] },
    });
    rmSync(certificate.key);
    const [error] = await configure({ tls: { certificates: [certificate] } });
    expect(error?.message).toContain(
      `listener "web" goes on as before its last change: file ${certificate.key}`,
    );
    expect(error?.message).toContain("does not exist");
    expect(await configure({ tls: { certificates: [certificate] } })).toHaveLength(1);
    expect(listeners.failing()).toEqual([]);
    expect((await shown(port)).name).toBe("b.example");
    put("a");
    timers.advanceTimersByTime(CERTIFICATE_POLL_MS);
    await until(() => reloads.includes(null));
    expect((await shown(port)).name).toBe("a.example");
  });

  it("that a listener without TLS cannot read yet are tried again until it can", async () => {
    const { certificate, put } = files();
    const { port, configure } = await startListener();
    const timers = vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    rmSync(certificate.cert);
    expect(await configure({ tls: { certificates: [certificate] } })).toHaveLength(1);
    put("a");
    timers.advanceTimersByTime(RETRY_MS);
    await vi.waitFor(async () => expect((await shown(port)).name).toBe("a.example"));
  });

  it("may come to a listener that had none, and leave it", async () => {
    const { port, configure, certificates } = await startListener();
    const plain = tcp(port, GET_1);
    await until(() => plain.received().endsWith("ok"));
    expect(await configure({ tls: TLS })).toEqual([]);
    expect((await shown(port)).name).toBe("a.example");
    plain.socket.write(GET_1);
    await until(() => plain.received().split("200 OK").length === 3);
    expect(await configure({})).toEqual([]);
    const again = tcp(port, GET_1);
    await until(() => again.received().endsWith("ok"));
    expect(certificates.at(-1)).toEqual([]);
  });

  it.each<[string, NonNullable<ListenerDocument["tls"]>, string]>([
    [
      "a missing file",
      { certificates: [{ ...pair("a"), cert: "/nowhere/a.pem" }] },
      "/nowhere/a.pem does not exist",
    ],
    ["a key that is none", { certificates: [{ ...pair("a"), key: pair("a").cert }] }, "holds no private key"],
    [
      "a certificate that is none",
      { certificates: [{ ...pair("a"), cert: pair("a").key }] },
      "holds no certificate",
    ],
    ["the key of another", { certificates: [{ ...pair("a"), key: pair("b").key }] }, "is not the one of"],
    ["a bad authority", { ...TLS, clientCa: pair("a").key }, "holds no certificate"],
  ])("keep the listener from opening: %s", async (_, tls, reason) => {
    const { openers } = testOpeners();
    const listeners = createListeners({ openers, portOffset: 0, closeDeadlineMs: 0, onFailing() {} });
    const [error] = await listeners.configure([listenerOf({ tls })]);
    expect(error?.message).toMatch(/^listener "web" cannot open port 0 on 127\.0\.0\.1: /);
    expect(error?.message).toContain(reason);
    expect(listeners.failing()).toHaveLength(1);
    await listeners.close(0, 0);
  });
});
