import { describe, expect, it } from "vitest";
import { answer } from "../test-support/http-listener.ts";
import {
  CANCEL,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  frame,
  GET,
  headerBlock,
  http2Client,
  POST,
  rawHttp2,
  until,
} from "../test-support/http2.ts";
import { headOf, startHttp2 } from "../test-support/http2-server.ts";

describe("an HTTP/2 request", () => {
  it("arrives with its fields in their order, repeated ones too, and its cookies as one", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming));
    const client = rawHttp2(server.port);
    const fields = [
      ...GET.slice(0, 3),
      [":path", "/a?b=c"],
      ["x-b", "1"],
      ["cookie", "a=1"],
      ["x-a", "é"],
      ["x-b", "2"],
      ["cookie", "b=2"],
    ] as [string, string][];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(fields)));
    await until(() => client.of(1).length === 2);
    expect(server.requests[0]?.incoming.head).toEqual({
      ...{ method: "GET", target: "/a?b=c", version: "2", authority: "a.example" },
      fields: ["x-b", "x-b", "1", "cookie", "cookie", "a=1; b=2", "x-a", "x-a", "é", "x-b", "x-b", "2"],
      ...{ connection: null, bodyLength: 0, upgrade: null },
    });
  });

  it("has a body of the declared length, or of one that only its end tells, and trailers", async () => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = http2Client(server.port);
    client.request({ ":method": "POST", "content-length": 5 }).end("12345");
    const stream = client.request({ ":method": "POST" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "7" }));
    stream.end("123");
    await until(() => server.requests.length === 2 && server.requests.every(({ told }) => told.length > 0));
    expect(server.requests.map(({ incoming }) => incoming.head.bodyLength)).toEqual([
      5,
      Number.POSITIVE_INFINITY,
    ]);
    expect(server.requests.map(({ body }) => Buffer.concat(body).toString())).toEqual(["12345", "123"]);
    expect(server.requests.map(({ told }) => told)).toEqual([["end null"], ['end ["x-sum","x-sum","7"]']]);
  });

  it("sends of its body no more than a window until it is read, and all of it then", async () => {
    const server = await startHttp2(() => {});
    const client = http2Client(server.port);
    const stream = client.request({ ":method": "POST" });
    const body = Buffer.alloc(1_000_000, "x");
    stream.end(body);
    await until(() => server.requests.length === 1);
    await until(() => (client.state.remoteWindowSize ?? 0) < 1_000_000 && stream.bufferSize > 0);
    const [request] = server.requests;
    expect(request?.body).toEqual([]);
    expect(stream.bufferSize).toBeGreaterThan(800_000);
    request?.incoming.read();
    await until(() => (request?.body.length ?? 0) > 0);
    request?.incoming.pauseReading();
    const before = request?.body.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(request?.body.length).toBe(before);
    request?.incoming.read();
    await until(() => request?.told.length === 1);
    expect(Buffer.concat(request?.body ?? [])).toHaveLength(body.length);
  });

  it.each([
    ["with a body", POST, "body"],
    ["without one", GET, null],
  ])("%s ends once, however often it is read", async (_, fields, body) => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS | (body === null ? END_STREAM : 0), 1, headerBlock(fields)));
    if (body !== null) client.send(frame("DATA", END_STREAM, 1, Buffer.from(body)));
    await until(() => server.requests.length === 1);
    const [request] = server.requests;
    request?.incoming.read();
    request?.incoming.read();
    await until(() => request?.told.length === 1);
    request?.incoming.read();
    client.send(frame("HEADERS", END_HEADERS | END_STREAM, 3, headerBlock(GET)));
    await until(() => server.requests.length === 2);
    expect(request?.told).toEqual(["end null"]);
  });

  it("that expects 100-continue gets it when its body is wanted, and not with an early answer", async () => {
    const server = await startHttp2(({ incoming }) => {
      if (incoming.head.target === "/early") answer(incoming, 403, "no");
      else incoming.read();
    });
    const client = http2Client(server.port);
    const wanted = client.request({ ":method": "POST", expect: "100-continue" });
    await new Promise((resolve) => wanted.on("continue", resolve));
    wanted.end("body");
    await until(() => server.requests[0]?.told.length === 1);
    let continued = false;
    const early = client.request({ ":method": "POST", ":path": "/early", expect: "100-continue" });
    early.on("continue", () => {
      continued = true;
    });
    await new Promise((resolve) => early.on("response", resolve));
    expect(continued).toBe(false);
  });

  it.each([
    ["cancels", CANCEL, "CANCEL"],
    ["resets without an error", 0, "NO_ERROR"],
  ])("that the client %s is not whole but gone, once", async (_, code, name) => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    client.send(frame("DATA", 0, 1, Buffer.from("part")));
    await until(() => server.requests[0]?.body.length === 1);
    client.send(frame("RST_STREAM", 0, 1, Buffer.from([0, 0, 0, code])));
    await until(() => server.requests[0]?.told.length === 1);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(GET)));
    await until(() => server.requests.length === 2);
    expect(server.requests[0]?.told).toEqual([`gone: the stream was closed: ${name}`]);
  });

  it("is gone when the connection breaks", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => server.requests.length === 1);
    client.socket.resetAndDestroy();
    await until(() => server.requests[0]?.told.length === 1);
    expect(server.requests[0]?.told[0]).toContain("gone");
  });
});

describe("a WebSocket over HTTP/2", () => {
  const CONNECT = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":path": "/chat",
    ":authority": "h",
  };

  it("is asked for like an upgrade of HTTP/1 and becomes a tunnel both ways", async () => {
    const server = await startHttp2((seen) => {
      const { incoming } = seen;
      const fields = ["sec-websocket-accept", "sec-websocket-accept", "x", "x-a", "x-a", "1"];
      incoming.sendHead({
        status: 101,
        reason: "",
        fields,
        bodyLength: Number.POSITIVE_INFINITY,
        tunnel: true,
      });
      incoming.flush();
      incoming.read();
      seen.onClientData = (chunk) => incoming.write(chunk);
      seen.onClientEnd = () => incoming.end(null);
    });
    const client = http2Client(server.port);
    await until(() => client.remoteSettings?.enableConnectProtocol === true);
    const stream = client.request({ ...CONNECT, "sec-websocket-version": "13" }, { endStream: false });
    let echoed = "";
    let status = 0;
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      expect(headers).not.toHaveProperty("sec-websocket-accept");
      expect(headers).toHaveProperty("x-a");
    });
    stream.on("data", (chunk: Buffer) => {
      echoed += chunk.toString();
    });
    stream.write("ping");
    await until(() => echoed === "ping");
    stream.end();
    await until(() => stream.closed);
    const { head } = server.requests[0]?.incoming ?? {};
    expect(head).toMatchObject({ method: "GET", target: "/chat", upgrade: "websocket", bodyLength: 0 });
    expect(head?.fields).toContain("sec-websocket-key");
    expect(status).toBe(200);
  });

  it.each(["the client", "the backend"])(
    "ends by halves: what the other sends after %s arrives",
    async (first) => {
      const server = await startHttp2(
        ({ incoming }) => {
          if (incoming.head.upgrade !== null) {
            incoming.sendHead({ ...headOf(Number.POSITIVE_INFINITY), status: 101, tunnel: true });
            incoming.flush();
          }
          incoming.read();
        },
        { clientIdleMs: 40 },
      );
      const client = rawHttp2(server.port);
      const fields: FieldList = [...Object.entries(CONNECT)];
      client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(fields)));
      client.send(frame("HEADERS", END_HEADERS, 3, headerBlock(POST)));
      await until(() => client.resets().length === 1); // so long silence is not allowed outside of a tunnel
      const [tunnel] = server.requests;
      expect(tunnel?.told).toEqual([]);
      const endByClient = () => client.send(frame("DATA", END_STREAM, 1, Buffer.from("last")));
      const endByBackend = () => {
        tunnel?.incoming.write(Buffer.from("late"));
        tunnel?.incoming.end(null);
      };
      if (first === "the client") endByClient();
      else endByBackend();
      await until(() => (first === "the client" ? tunnel?.told.length === 1 : client.of(1).length > 1));
      if (first === "the client") endByBackend();
      else endByClient();
      await until(() => tunnel?.told.length === 1 && client.of(1).at(-1) === `DATA ${END_STREAM}`);
      expect(Buffer.concat(tunnel?.body ?? []).toString()).toBe("last");
      expect(tunnel?.told).toEqual(["end null"]);
    },
  );

  it("may be refused", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming, 403, "no"));
    const client = http2Client(server.port);
    await until(() => client.remoteSettings?.enableConnectProtocol === true);
    const stream = client.request(CONNECT, { endStream: false });
    const status = await new Promise((resolve) =>
      stream.on("response", (headers) => resolve(headers[":status"])),
    );
    expect(status).toBe(403);
    await until(() => stream.closed);
  });
});
