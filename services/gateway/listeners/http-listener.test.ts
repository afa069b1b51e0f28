import { execFileSync } from "node:child_process";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, it, vi } from "vitest";
import { answer } from "../test-support/http-listener.ts";
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
import { ca, GET_1, startListener, TLS, tcp, tls, watch } from "../test-support/listener-clients.ts";

describe("one port", () => {
  it("speaks HTTP/1 and HTTP/2, told apart by the first bytes, whole or in pieces", async () => {
    const { port, requests } = await startListener();
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
    const { port, refused } = await startListener({ http2: false });
    const client = tcp(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await until(client.closed);
    expect(client.received()).toMatch(/^HTTP\/1\.1 /);
    expect(refused).toHaveLength(1);
  });

  it.each([0, 1, 2, 8])(
    "outlives requests of HTTP/2 that are reset, with code %i, as they come",
    async (code) => {
      const { port, requests, refused } = await startListener();
      const reset = (stream: number) => frame("RST_STREAM", 0, stream, Buffer.from([0, 0, 0, code]));
      const forbidden = headerBlock([[":method", "CONNECT"], ...GET.slice(2, 3)]);
      const client = tcp(port);
      // All of it is read at once.
      client.socket.write(
        Buffer.concat([
          Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
          ...[frame("SETTINGS", 0, 0), frame("HEADERS", END_HEADERS, 1, forbidden), reset(1)],
          ...[frame("HEADERS", END_HEADERS, 3, headerBlock(GET)), reset(3)],
          frame("HEADERS", END_STREAM | END_HEADERS, 5, headerBlock(GET)),
        ]),
      );
      await until(() => client.received().endsWith("ok"));
      expect([requests.length, refused]).toEqual([1, []]);
    },
  );

  it("lets go who says nothing, or only the beginning", async () => {
    const { port, requests } = await startListener({ limits: { keepAliveMs: 100, headersTimeoutMs: 100 } });
    const clients = [tcp(port), tcp(port, "PRI * "), tcp(port, "GET / HT")];
    await until(() => clients.every(({ closed }) => closed()));
    expect(requests).toEqual([]);
  });

  it("serves nobody who was gone before being accepted: there is no address left to judge", async () => {
    const { port, requests } = await startListener();
    const sendAndReset = `const socket = require("node:net").connect(${port}, "127.0.0.1", () =>
      socket.write(${JSON.stringify(GET_1)}, () => socket.resetAndDestroy()))`;
    execFileSync(process.execPath, ["-e", sendAndReset]); // accepting waits for it
    const next = tcp(port, GET_1);
    await until(() => next.received().endsWith("ok"));
    expect(requests.map(({ incoming }) => incoming.connection.peer)).toEqual(["127.0.0.1"]);
  });

  it("takes no more connections than allowed, and others when some are gone", async () => {
    const { port, dropped } = await startListener({ limits: { connections: 2 } });
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
    const { port, dropped, configure } = await startListener({ limits: { connectionsPerAddress: 1 } });
    tcp(port);
    const second = tcp(port, GET_1);
    await until(second.closed);
    expect(dropped).toEqual(["address-full"]);
    expect(await configure({ limits: { connectionsPerAddress: 2 } })).toEqual([]);
    const third = tcp(port, GET_1);
    await until(() => third.received().endsWith("ok"));
  });
});

describe("the PROXY protocol", () => {
  const proxyProtocol = { trusted: ["127.0.0.1/32"] };
  const LINE = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n";

  it.each([
    ["HTTP/1", {}, LINE + GET_1],
    ["HTTP/1 where there is no other", { http2: false }, LINE + GET_1],
  ])("says who the client is: %s", async (_, settings, text) => {
    const { port, requests } = await startListener({ proxyProtocol, ...settings });
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
    const { port, requests, configure } = await startListener({ proxyProtocol });
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
    const { port, dropped, requests, configure } = await startListener({ proxyProtocol });
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
    const { port, dropped } = await startListener({ proxyProtocol, limits: { connectionsPerAddress: 1 } });
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
    const { port, listeners, requests } = await startListener({}, () => {});
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
    const test = await startListener({ tls: TLS }, ({ incoming }) => incoming.read());
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
