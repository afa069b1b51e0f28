import { describe, expect, it, onTestFinished, vi } from "vitest";
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
  without,
} from "../test-support/http2.ts";
import { headOf, startHttp2 } from "../test-support/http2-server.ts";

describe("a client that keeps a request waiting", () => {
  it("by not sending the body that is asked for is cut off", async () => {
    const server = await startHttp2(({ incoming }) => incoming.read(), { clientIdleMs: 40 });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => client.resets().length === 1);
    expect(client.resets()).toEqual([CANCEL]);
    expect(server.requests[0]?.told).toEqual(["gone: the client sent nothing for too long"]);
  });

  it("by not reading the answer is cut off, also when all of it was handed over", async () => {
    const server = await startHttp2(
      ({ incoming }) => {
        incoming.sendHead(headOf(Number.POSITIVE_INFINITY));
        incoming.write(Buffer.alloc(200_000));
        if (incoming.head.target === "/ended") incoming.end(null);
      },
      { clientIdleMs: 40 },
    );
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    const ended: FieldList = [...without(":path"), [":path", "/ended"]];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(ended)));
    await until(() => client.resets().length === 2);
    expect(client.resets()).toEqual([CANCEL, CANCEL]);
    expect(server.requests.map(({ told }) => told)).toEqual([
      ["gone: the client read nothing for too long"],
      [],
    ]);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
  });

  it("is not one while it is the backend that thinks", async () => {
    const server = await startHttp2(() => {}, { clientIdleMs: 20 });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    const stalled = startHttp2(({ incoming }) => incoming.read(), { clientIdleMs: 20 });
    const other = rawHttp2((await stalled).port);
    other.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => other.resets().length === 1); // as long as it takes where it would be one
    expect(server.requests[0]?.told).toEqual([]);
  });

  it("by asking nothing at all is let go after the keep-alive", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming), { keepAliveMs: 60 });
    const [silent, used] = [rawHttp2(server.port), rawHttp2(server.port)];
    used.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => silent.goaways().length > 0 && used.goaways().length > 0);
    expect(used.of(1)).toHaveLength(2);
    expect(silent.goaways()[0]).toBe(0);
    await until(() => silent.closed() && used.closed());
  });

  it("is not let go while a request is open", async () => {
    const server = await startHttp2(() => {}, { keepAliveMs: 30 });
    const [silent, used] = [rawHttp2(server.port), rawHttp2(server.port)];
    used.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(silent.closed);
    expect(used.goaways()).toEqual([]);
    const [request] = server.requests;
    if (request) answer(request.incoming);
    await until(used.closed);
    expect(used.of(1)).toHaveLength(2);
  });
});

describe("the end of a connection", () => {
  it("is told with GOAWAY at once, and comes when the answers are out", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => server.requests.length === 1);
    server.connections[0]?.endWhenAnswered();
    await until(() => client.goaways().length > 0);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(GET)));
    const [request] = server.requests;
    if (request) answer(request.incoming, 200, "late but whole");
    await until(client.closed);
    expect(client.of(1)).toEqual([`HEADERS ${END_HEADERS}`, `DATA ${END_STREAM}`]);
    expect(server.requests).toHaveLength(1);
  });

  it("is told with the first answer of a listener that closes, and comes when none is open", async () => {
    const server = await startHttp2(() => {});
    const client = http2Client(server.port);
    const first = client.request({});
    await until(() => server.requests.length === 1);
    server.endpoint.closing = true;
    let last = -1;
    client.on("goaway", (_code, lastStream) => {
      last = Math.max(last, lastStream);
    });
    const second = client.request({});
    await until(() => server.requests.length === 2);
    for (const { incoming } of server.requests) answer(incoming);
    const statuses = [first, second].map(
      (stream) => new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"]))),
    );
    expect(await Promise.all(statuses)).toEqual([200, 200]);
    for (const stream of [first, second]) stream.resume();
    await until(() => client.destroyed);
    expect(last).toBe(2 ** 31 - 1);
  });

  it("does not wait for a client that keeps its side open", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    await until(() => client.frames.length > 1);
    client.socket.allowHalfOpen = true;
    server.connections[0]?.endWhenAnswered();
    await until(() => server.sockets[0]?.destroyed ?? false);
  });

  it("leaves no timer behind", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const server = await startHttp2(({ incoming }) => incoming.read());
    const [ended, broken] = [rawHttp2(server.port), rawHttp2(server.port)];
    for (const client of [ended, broken]) client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => server.requests.length === 2);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    ended.send(frame("DATA", END_STREAM, 1));
    await until(() => server.requests.some(({ told }) => told.length > 0));
    for (const { incoming, told } of server.requests) if (told.length > 0) answer(incoming);
    for (const connection of server.connections) connection.endWhenAnswered();
    await until(ended.closed);
    broken.socket.resetAndDestroy();
    await until(() => server.sockets.every(({ destroyed }) => destroyed) && vi.getTimerCount() === 0);
  });

  it("by the client's side still lets the answers out", async () => {
    const server = await startHttp2(() => {});
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    client.socket.allowHalfOpen = true;
    client.socket.end();
    await until(() => server.requests.length === 1);
    const [request] = server.requests;
    if (request) answer(request.incoming);
    await until(client.closed);
    expect(client.of(1)).toHaveLength(2);
  });

  it("by the client's side is the end of what it has not sent whole", async () => {
    const server = await startHttp2(({ incoming }) => incoming.read());
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => server.requests.length === 1);
    client.socket.end();
    await until(client.closed);
    expect(server.requests[0]?.told).toEqual(["gone: the client closed the connection"]);
  });

  it("by the client's side is the end of an answer that is silent then", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.read();
      incoming.sendHead(headOf(Number.POSITIVE_INFINITY));
      incoming.write(Buffer.from("first"));
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    client.socket.allowHalfOpen = true;
    await until(() => client.of(1).length === 2);
    client.socket.end();
    await until(client.closed);
    expect(server.requests[0]?.told).toEqual(["end null", "gone: the client closed the connection"]);
  });
});
