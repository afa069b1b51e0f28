import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  answer,
  certificateFile,
  listenerOf,
  type Seen,
  testOpeners,
} from "../test-support/http-listener.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  headerBlock,
  http2Client,
  rawHttp2,
  until,
} from "../test-support/http2.ts";
import { createListeners, RETRY_MS } from "./listeners.ts";
import { CERTIFICATE_POLL_MS } from "./tls-contexts.ts";

const GET_1 = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const pair = (name: string) => ({
  cert: certificateFile(`${name}.pem`),
  key: certificateFile(`${name}.key`),
});
const ca = readFileSync(certificateFile("ca.pem"));
const TLS = { certificates: [pair("a"), pair("b")] };
const clientPair = (name: string) => ({
  cert: readFileSync(pair(name).cert),
  key: readFileSync(pair(name).key),
});

/** An open listener; answers "ok" unless `handle` does. */
async function start(
  document: Partial<ListenerDocument> = {},
  handle: (seen: Seen) => void = ({ incoming }) => answer(incoming),
) {
  const test = testOpeners(handle);
  const listeners = createListeners({ openers: test.openers, portOffset: 0, closeDeadlineMs: 0 });
  onTestFinished(() => listeners.close(0, 0));
  const configure = (document: Partial<ListenerDocument>) => listeners.configure([listenerOf(document)]);
  expect(await configure(document)).toEqual([]);
  const port = Number(new URL(listeners.open()[0]?.url ?? "").port);
  return { ...test, listeners, configure, port };
}

function tcp(port: number, text = "") {
  const socket = connect(port, "127.0.0.1");
  return watch(socket, text);
}

function tls(port: number, options: ConnectionOptions = {}, text = "") {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "a.example", ca, ...options });
  return { ...watch(socket, text), socket };
}

function watch<S extends Socket>(socket: S, text: string) {
  const seen = { socket, received: "", closed: false };
  socket.on("data", (chunk: Buffer) => {
    seen.received += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    seen.closed = true;
  });
  if (text !== "") socket.write(text);
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    received: () => seen.received,
    closed: () => seen.closed,
  };
}

const secured = async ({ socket }: { socket: TLSSocket }) => {
  await new Promise((resolve) => socket.once("secureConnect", resolve).once("close", resolve));
  return socket;
};

/** The common name that the listener shows. */
async function shown(port: number, options: ConnectionOptions = {}) {
  const socket = await secured(tls(port, { ...options, checkServerIdentity: () => undefined }));
  return {
    name: socket.getPeerCertificate().subject.CN,
    fingerprint: socket.getPeerCertificate().fingerprint256,
  };
}

describe("one port", () => {
  it("speaks HTTP/1 and HTTP/2, told apart by the first bytes, whole or in pieces", async () => {
    const { port, requests } = await start();
    const one = tcp(port, GET_1);
    await until(() => one.received().endsWith("ok"));
    const two = rawHttp2(port);
    two.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => two.of(1).length === 2);
    const slow = tcp(port);
    for (const letter of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
      slow.socket.write(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    slow.socket.write(Buffer.concat([frame("SETTINGS", 0, 0), frame("HEADERS", 5, 1, headerBlock(GET))]));
    await until(() => requests.length === 3);
    const post = tcp(port, "P");
    await new Promise((resolve) => setImmediate(resolve));
    post.socket.write("OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    await until(() => post.received().endsWith("ok"));
    expect(requests.map(({ incoming }) => incoming.head.version)).toEqual(["1.1", "2", "2", "1.1"]);
    expect(requests[0]?.incoming.connection).toMatchObject({ peer: "127.0.0.1", localPort: port, tls: null });
  });

  it("speaks no HTTP/2 where that is off", async () => {
    const { port, refused } = await start({ http2: false });
    const client = tcp(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await until(client.closed);
    expect(client.received()).toMatch(/^HTTP\/1\.1 /);
    expect(refused).toHaveLength(1);
  });

  it("lets go who says nothing, or only the beginning", async () => {
    const { port, requests } = await start({ limits: { keepAliveMs: 100, headersTimeoutMs: 100 } });
    const clients = [tcp(port), tcp(port, "PRI * "), tcp(port, "GET / HT")];
    await until(() => clients.every(({ closed }) => closed()));
    expect(requests).toEqual([]);
  });

  it("takes no more connections than allowed, and others when some are gone", async () => {
    const { port, dropped } = await start({ limits: { connections: 2 } });
    const [first] = [tcp(port), tcp(port)];
    const third = tcp(port, GET_1);
    await until(third.closed);
    expect(dropped).toEqual(["listener-full"]);
    first.socket.destroy();
    await vi.waitFor(async () => {
      const client = tcp(port, GET_1);
      await until(() => client.closed() || client.received() !== "");
      expect(client.received()).toContain("ok");
    });
  });

  it("takes no more of one address than allowed, and another limit as soon as it is configured", async () => {
    const { port, dropped, configure } = await start({ limits: { connectionsPerAddress: 1 } });
    tcp(port);
    const second = tcp(port, GET_1);
    await until(second.closed);
    expect(dropped).toEqual(["address-full"]);
    expect(await configure({ limits: { connectionsPerAddress: 2 } })).toEqual([]);
    const third = tcp(port, GET_1);
    await until(() => third.received().endsWith("ok"));
  });
});

describe("TLS", () => {
  it.each([
    [["h2", "http/1.1"], "h2"],
    [["http/1.1"], "http/1.1"],
    [undefined, false],
  ])("agrees on a protocol: of %j on %j", async (ALPNProtocols, agreed) => {
    const { port, listeners, requests } = await start({ tls: TLS });
    expect(listeners.open()[0]?.url).toBe(`https://127.0.0.1:${port}`);
    const socket = await secured(tls(port, { ALPNProtocols }));
    expect(socket.alpnProtocol).toBe(agreed);
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(requests).toEqual([]);
  });

  it("carries HTTP/1.1 and HTTP/2, and tells the server name", async () => {
    const { port, requests } = await start({ tls: TLS });
    const status = await new Promise((resolve) => {
      const options = { port, host: "127.0.0.1", servername: "b.example", ca, agent: false };
      request(options, (response) => resolve(response.resume().statusCode)).end();
    });
    const client = connectHttp2(`https://127.0.0.1:${port}`, { ca, servername: "a.example" });
    onTestFinished(() => client.destroy());
    const other = await new Promise((resolve) => {
      client.request({}).on("response", (headers) => resolve(headers[":status"]));
    });
    expect([status, other]).toEqual([200, 200]);
    expect(requests.map(({ incoming }) => [incoming.head.version, incoming.connection.tls])).toEqual([
      ["1.1", { servername: "b.example", certificate: null }],
      ["2", { servername: "a.example", certificate: null }],
    ]);
  });

  it("offers HTTP/1.1 only where HTTP/2 is off", async () => {
    const { port } = await start({ tls: TLS, http2: false });
    expect((await secured(tls(port, { ALPNProtocols: ["h2", "http/1.1"] }))).alpnProtocol).toBe("http/1.1");
  });

  it.each([
    ["b.example", "b.example"],
    ["B.Example", "b.example"],
    ["x.b.example", "b.example"],
    ["x.y.b.example", "a.example"],
    ["unknown.example", "a.example"],
    ["", "a.example"],
  ])("shows to a client of %j the certificate of %s", async (servername, name) => {
    const { port } = await start({ tls: TLS });
    expect((await shown(port, { servername })).name).toBe(name);
  });

  it.each<[string, Partial<NonNullable<ListenerDocument["tls"]>>, ConnectionOptions, string]>([
    ["too old a version", { minVersion: "1.3" }, { maxVersion: "TLSv1.2" }, "version"],
    ["no protocol in common", {}, { ALPNProtocols: ["smtp"] }, "alpn"],
    [
      "no cipher in common",
      {},
      { maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES128-GCM-SHA256", checkServerIdentity: () => undefined },
      "cipher",
    ],
  ])("refuses %s", async (_, settings, options, fault) => {
    const { port, tlsFaults, requests } = await start({ tls: { ...TLS, ...settings } });
    const client = tls(port, options, GET_1);
    await until(() => client.closed() && tlsFaults.length > 0);
    expect(tlsFaults).toEqual([fault]);
    expect(requests).toEqual([]);
  });

  it("survives what is no handshake", async () => {
    const { port, tlsFaults } = await start({ tls: TLS });
    const plain = tcp(port, GET_1);
    const gone = tcp(port, "\x16\x03\x01");
    await until(() => plain.closed() && tlsFaults.length === 1);
    gone.socket.resetAndDestroy();
    await until(() => tlsFaults.length === 2);
    expect(tlsFaults).toEqual(["other", "closed"]);
    expect((await shown(port)).name).toBe("a.example");
  });

  it("takes 1.2 as well", async () => {
    const { port } = await start({ tls: TLS });
    expect((await secured(tls(port, { maxVersion: "TLSv1.2" }))).getProtocol()).toBe("TLSv1.2");
  });
});

describe("certificates of clients", () => {
  const clientCa = certificateFile("ca.pem");
  const told = ({ requests }: { requests: Seen[] }) => requests[0]?.incoming.connection.tls?.certificate;

  it("are verified, and told to whoever serves the request", async () => {
    const test = await start({ tls: { ...TLS, clientCa } });
    const client = tls(test.port, clientPair("client"), GET_1);
    await until(() => client.received().endsWith("ok"));
    expect(told(test)).toEqual({
      subject: "CN=alice,O=Example\\, Inc.",
      names: "URI:spiffe://example/alice",
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it.each([
    ["none", "require", undefined],
    ["one of a stranger", "require", "stranger"],
    ["one of a stranger, even where none is needed,", "request", "stranger"],
  ] as const)("are refused: %s (%s)", async (_, clientAuth, name) => {
    const test = await start({ tls: { ...TLS, clientCa, clientAuth } });
    const client = tls(test.port, name ? clientPair(name) : {}, GET_1);
    await until(() => client.closed() && test.tlsFaults.length > 0);
    expect(test.tlsFaults).toEqual(["certificate"]);
    expect(test.requests).toEqual([]);
    expect(client.received()).toBe("");
  });

  it("need not be sent where they are only asked for", async () => {
    const test = await start({ tls: { ...TLS, clientCa, clientAuth: "request" } });
    const client = tls(test.port, {}, GET_1);
    await until(() => client.received().endsWith("ok"));
    expect(told(test)).toBe(null);
  });

  it("are not asked for of who resumes under the terms of before", async () => {
    const test = await start({ tls: TLS });
    const before = tls(test.port, {}, GET_1);
    let session: Buffer | undefined;
    before.socket.on("session", (ticket) => {
      session = ticket;
    });
    await until(() => before.received().endsWith("ok") && session !== undefined);
    expect(await test.configure({ tls: { ...TLS, clientCa } })).toEqual([]);
    const after = tls(test.port, { session }, GET_1);
    await until(() => after.closed() && test.tlsFaults.length > 0);
    expect(test.tlsFaults).toEqual(["certificate"]);
    expect(test.requests).toHaveLength(1);
  });
});

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
    const { port, reloads, certificates } = await start({ tls: { certificates: [certificate] } });
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
    const { reloads, certificates } = await start({ tls: { certificates: [certificate] } });
    await timers.advanceTimersByTimeAsync(5 * CERTIFICATE_POLL_MS);
    expect([reloads, certificates.length]).toEqual([[], 1]);
  });

  it("stay what they were while only half of them is written, and become new with the other half", async () => {
    const timers = fakeTimers();
    const { certificate, put } = files();
    const { port, reloads, listeners } = await start({ tls: { certificates: [certificate] } });
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
    const { port, configure, listeners } = await start({ tls: { certificates: [pair("a")] } });
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
    const { port, configure, listeners, reloads } = await start({ tls: { certificates: [pair("b")] } });
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
    const { port, configure } = await start();
    const timers = vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    rmSync(certificate.cert);
    expect(await configure({ tls: { certificates: [certificate] } })).toHaveLength(1);
    put("a");
    timers.advanceTimersByTime(RETRY_MS);
    await vi.waitFor(async () => expect((await shown(port)).name).toBe("a.example"));
  });

  it("may come to a listener that had none, and leave it", async () => {
    const { port, configure, certificates } = await start();
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
    const listeners = createListeners({ openers, portOffset: 0, closeDeadlineMs: 0 });
    const [error] = await listeners.configure([listenerOf({ tls })]);
    expect(error?.message).toMatch(/^listener "web" cannot open port 0 on 127\.0\.0\.1: /);
    expect(error?.message).toContain(reason);
    expect(listeners.failing()).toHaveLength(1);
    await listeners.close(0, 0);
  });
});

describe("the PROXY protocol", () => {
  const proxyProtocol = { trusted: ["127.0.0.1/32"] };
  const LINE = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n";

  it.each([
    ["HTTP/1", {}, LINE + GET_1],
    ["HTTP/1 where there is no other", { http2: false }, LINE + GET_1],
  ])("says who the client is: %s", async (_, settings, text) => {
    const { port, requests } = await start({ proxyProtocol, ...settings });
    const client = tcp(port, text);
    await until(() => client.received().endsWith("ok"));
    const slow = tcp(port, LINE.slice(0, 10));
    await new Promise((resolve) => setImmediate(resolve));
    slow.socket.write(LINE.slice(10));
    await new Promise((resolve) => setImmediate(resolve));
    slow.socket.write(GET_1);
    await until(() => slow.received().endsWith("ok"));
    expect(requests.map(({ incoming }) => incoming.connection.peer)).toEqual(["192.0.2.7", "192.0.2.7"]);
  });

  it("says who the client is: HTTP/2 and TLS", async () => {
    const { port, requests, configure } = await start({ proxyProtocol });
    const two = tcp(port);
    const hello = [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame("SETTINGS", 0, 0)];
    two.socket.write(Buffer.concat([Buffer.from(LINE), ...hello, frame("HEADERS", 5, 1, headerBlock(GET))]));
    await until(() => requests.length === 1);
    await configure({ proxyProtocol, tls: TLS });
    const bare = connect(port, "127.0.0.1");
    bare.write(LINE);
    const client = watch(connectTls({ socket: bare, servername: "a.example", ca }), GET_1);
    await until(() => client.received().endsWith("ok"));
    expect(requests.map(({ incoming }) => incoming.connection.peer)).toEqual(["192.0.2.7", "192.0.2.7"]);
  });

  it("must begin the connection of a trusted peer, and is not believed of another", async () => {
    const { port, dropped, requests, configure } = await start({ proxyProtocol });
    const without = tcp(port, GET_1);
    await until(without.closed);
    expect(dropped).toEqual(["proxy-header"]);
    await configure({ proxyProtocol: { trusted: ["192.0.2.0/24"] } });
    const stranger = tcp(port, LINE + GET_1);
    await until(stranger.closed);
    expect(stranger.received()).toMatch(/^HTTP\/1\.1 400 /);
    expect(requests).toEqual([]);
  });

  it("tells by whose connections an address is bounded", async () => {
    const { port, dropped } = await start({ proxyProtocol, limits: { connectionsPerAddress: 1 } });
    const first = tcp(port, LINE + GET_1);
    await until(() => first.received().endsWith("ok"));
    const other = tcp(port, LINE.replace("192.0.2.7", "192.0.2.8") + GET_1);
    await until(() => other.received().endsWith("ok"));
    const same = tcp(port, LINE + GET_1);
    await until(same.closed);
    expect(dropped).toEqual(["address-full"]);
  });
});

describe("a listener that closes", () => {
  it("lets HTTP/2 requests end, tells their client, and takes no new connection", async () => {
    const { port, listeners, requests } = await start({}, () => {});
    const client = http2Client(port);
    const stream = client.request({});
    await until(() => requests.length === 1);
    let goaway = false;
    client.on("goaway", () => {
      goaway = true;
    });
    const closed = listeners.close(0, 5_000);
    await until(() => goaway);
    const [request] = requests;
    const status = new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"])));
    if (request) answer(request.incoming);
    stream.resume();
    expect(await status).toBe(200);
    await closed;
    const late = tcp(port);
    await until(late.closed);
  });

  it("cuts off at the deadline what does not end, whatever its state", async () => {
    const test = await start({ tls: TLS }, ({ incoming }) => incoming.read());
    const two = connectHttp2(`https://127.0.0.1:${test.port}`, { ca, servername: "a.example" });
    two.on("error", () => {});
    two.request({ ":method": "POST" }).on("error", () => {});
    const one = tls(test.port, {}, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    await until(() => test.requests.length === 2);
    const handshake = tcp(test.port, "\x16\x03\x01");
    await until(() => handshake.socket.bytesWritten > 0);
    await test.listeners.close(0, 30);
    await until(() => one.closed() && handshake.closed() && two.destroyed);
    expect(test.requests.map(({ told }) => told.length)).toEqual([1, 1]);
  });
});
