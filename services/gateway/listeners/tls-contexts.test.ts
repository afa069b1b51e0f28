import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import type { ConnectionOptions } from "node:tls";
import type { ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { certificateFile, type Seen } from "../test-support/http-listener.ts";
import { until } from "../test-support/http2.ts";
import {
  ca,
  clientPair,
  GET_1,
  secured,
  shown,
  startListener,
  TLS,
  tcp,
  tls,
} from "../test-support/listener-clients.ts";

describe("TLS", () => {
  it.each([
    [["h2", "http/1.1"], "h2"],
    [["http/1.1"], "http/1.1"],
    [undefined, false],
  ])("agrees on a protocol: of %j on %j", async (ALPNProtocols, agreed) => {
    const { port, listeners, requests } = await startListener({ tls: TLS });
    expect(listeners.open()[0]?.url).toBe(`https://127.0.0.1:${port}`);
    const socket = await secured(tls(port, { ALPNProtocols }));
    expect(socket.alpnProtocol).toBe(agreed);
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(requests).toEqual([]);
  });

  it("carries HTTP/1.1 and HTTP/2, and tells the server name", async () => {
    const { port, requests } = await startListener({ tls: TLS });
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
    const { port } = await startListener({ tls: TLS, http2: false });
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
    const { port } = await startListener({ tls: TLS });
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
    const { port, tlsFaults, requests } = await startListener({ tls: { ...TLS, ...settings } });
    const client = tls(port, options, GET_1);
    await until(() => client.closed() && tlsFaults.length > 0);
    expect(tlsFaults).toEqual([fault]);
    expect(requests).toEqual([]);
  });

  it("survives what is no handshake", async () => {
    const { port, tlsFaults } = await startListener({ tls: TLS });
    const plain = tcp(port, GET_1);
    const gone = tcp(port, "\x16\x03\x01");
    await until(() => plain.closed() && tlsFaults.length === 1);
    gone.socket.resetAndDestroy();
    await until(() => tlsFaults.length === 2);
    expect(tlsFaults).toEqual(["other", "closed"]);
    expect((await shown(port)).name).toBe("a.example");
  });

  it("takes 1.2 as well", async () => {
    const { port } = await startListener({ tls: TLS });
    expect((await secured(tls(port, { maxVersion: "TLSv1.2" }))).getProtocol()).toBe("TLSv1.2");
  });
});

describe("certificates of clients", () => {
  const clientCa = certificateFile("ca.pem");
  const told = ({ requests }: { requests: Seen[] }) => requests[0]?.incoming.connection.tls?.certificate;

  it("are verified, and told to whoever serves the request", async () => {
    const test = await startListener({ tls: { ...TLS, clientCa } });
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
    const test = await startListener({ tls: { ...TLS, clientCa, clientAuth } });
    const client = tls(test.port, name ? clientPair(name) : {}, GET_1);
    await until(() => client.closed() && test.tlsFaults.length > 0);
    expect(test.tlsFaults).toEqual(["certificate"]);
    expect(test.requests).toEqual([]);
    expect(client.received()).toBe("");
  });

  it("need not be sent where they are only asked for", async () => {
    const test = await startListener({ tls: { ...TLS, clientCa, clientAuth: "request" } });
    const client = tls(test.port, {}, GET_1);
    await until(() => client.received().endsWith("ok"));
    expect(told(test)).toBe(null);
  });

  it("are not asked for of who resumes under the terms of before", async () => {
    const test = await startListener({ tls: TLS });
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
