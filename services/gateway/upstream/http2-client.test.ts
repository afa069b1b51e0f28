import { readFileSync } from "node:fs";
import { createSecureServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { h2c, listenHttp2, ok, over2 } from "./test-support/http2-backend.ts";
import { data, goAway, headers, startFrames } from "./test-support/http2-frames.ts";
import { ask, certificate, eventually, type Receiver, start } from "./test-support/world.ts";

describe("connections of HTTP/2", () => {
  it("are as few as the backend's bound on streams allows", async () => {
    const streams: ServerHttp2Stream[] = [];
    const backend = await h2c((stream) => void streams.push(stream), { maxConcurrentStreams: 3 });
    const { origin, looked } = over2(backend.url);
    const receivers: Receiver[] = [start(origin)];
    await eventually(() => streams.length === 1, "the first request");
    await looked();
    for (let i = 1; i < 7; i += 1) receivers.push(start(origin));
    await eventually(() => streams.length >= 6, "most requests");
    expect(backend.sessions).toBeGreaterThanOrEqual(2);
    for (const stream of streams.splice(0)) ok(stream, {}, []);
    await eventually(() => streams.length === 1 || receivers.every(({ over }) => over), "the rest");
    for (const stream of streams.splice(0)) ok(stream, {}, []);
    await eventually(() => receivers.every(({ ended }) => ended), "all answers");
  });

  it("are replaced once the backend goes away, and end what they carry", async () => {
    const held: [Socket, number][] = [];
    const backend = await startFrames((socket, stream) => void held.push([socket, stream]));
    const { origin } = over2(backend.url);
    const first = start(origin);
    await eventually(() => held.length === 1, "the first request");
    held[0]?.[0].write(goAway(1, 0));
    const second = start(origin, { fresh: true });
    await eventually(() => held.length === 2, "the second request");
    await eventually(() => backend.sockets.length === 2 || held.length === 2, "another connection");
    const [socket, stream] = held[0] as [Socket, number];
    socket.write(Buffer.concat([headers(stream), data(stream, "late", true)]));
    await eventually(() => first.over, "the first answer");
    expect([first.text, first.fault]).toEqual(["late", null]);
    second.outgoing?.abort();
  });

  it("are closed when idle, and ended by a configuration without them", async () => {
    const backend = await h2c(ok);
    const { origin, origins, pass, looked } = over2(backend.url);
    await ask(origin);
    await looked();
    pass(4_100);
    await eventually(() => backend.open === 0, "the connection to be closed");
    await ask(origin);
    expect(backend.sessions).toBe(2);
    origins.configure([]);
    await eventually(() => backend.open === 0, "the connection to be closed");
  });

  it("take so many requests at once and no more", async () => {
    const backend = await h2c(() => {});
    const { origin } = over2(backend.url, { maxConnections: 8 });
    const receivers: Receiver[] = [];
    for (let i = 0; i < 8; i += 1) receivers.push(start(origin));
    expect(start(origin).outgoing).toBeNull();
    for (const { outgoing } of receivers) outgoing?.abort();
    expect(start(origin).outgoing).not.toBeNull();
  });

  it("are not used for a request that was aborted before they were there", async () => {
    let requests = 0;
    const backend = await h2c((stream, ...rest) => {
      requests += 1;
      ok(stream, ...rest);
    });
    const { origin } = over2(backend.url);
    start(origin).outgoing?.abort();
    expect((await ask(origin)).text).toBe("ok");
    expect(requests).toBe(1);
  });

  it("are given up when the backend does not answer pings", async () => {
    const backend = await startFrames(() => {});
    const { origin, pass, looked } = over2(backend.url);
    const receiver = start(origin, { responseHeadersMs: 1e9 });
    await eventually(() => receiver.outgoing?.sent === true, "the request");
    for (let i = 0; i < 2; i += 1) {
      await looked();
      pass(15_100);
    }
    await eventually(() => receiver.over, "the end");
    expect([receiver.fault, receiver.detail]).toEqual(["broken", "the backend does not answer a ping"]);
  });

  it("are made by TLS with ALPN", async () => {
    const options = { cert: readFileSync(certificate("a.pem")), key: readFileSync(certificate("a.key")) };
    const backend = await listenHttp2(createSecureServer(options) as unknown as Http2Server, "https", ok);
    const { origin } = over2(backend.url, { tls: { ca: certificate("ca.pem") } });
    expect((await ask(origin, { scheme: "https" })).text).toBe("ok");
    const stranger = over2(backend.url, { tls: { ca: certificate("other-ca.pem") } });
    const { fault, outgoing } = await ask(stranger.origin);
    expect([fault, outgoing?.sent]).toEqual(["tls", false]);
  });

  it("that nobody accepts are refused", async () => {
    const backend = await h2c(ok);
    const url = backend.url.replace(/\d+$/, "1");
    const { fault, outgoing } = await ask(over2(url).origin);
    expect([fault, outgoing?.sent]).toEqual(["refused", false]);
  });
});
