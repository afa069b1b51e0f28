import { describe, expect, it } from "vitest";
import type { Incoming } from "../messages/incoming.ts";
import { answer } from "../test-support/http-listener.ts";
import {
  ask,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  frame,
  GET,
  headerBlock,
  http2Client,
  INTERNAL_ERROR,
  POST,
  rawHttp2,
  until,
  without,
} from "../test-support/http2.ts";
import { headOf, startHttp2 } from "../test-support/http2-server.ts";

describe("an HTTP/2 answer", () => {
  it("has its fields in their order, repeated ones too, its length and its body", async () => {
    const fields = ["Set-Cookie", "set-cookie", "a=1", "x-a", "x-a", "é", "Set-Cookie", "set-cookie", "b=2"];
    const server = await startHttp2(({ incoming }) =>
      answer(incoming, 201, "whole", [...fields, "date", "date", "d"]),
    );
    const got = await ask(server.port, { ":path": "/" });
    expect(got.raw).toEqual([
      ...[":status", "201", "set-cookie", "a=1", "x-a", "é", "set-cookie", "b=2", "date", "d"],
      ...["content-length", "5"],
    ]);
    expect(got.body).toBe("whole");
  });

  it("to HEAD declares the length that a body would have, and 204 none", async () => {
    const server = await startHttp2(({ incoming }) => {
      const status = incoming.head.target === "/none" ? 204 : 200;
      incoming.sendHead({ ...headOf(0, ["content-length", "content-length", "42"]), status });
      incoming.end(null);
    });
    expect((await ask(server.port, { ":method": "HEAD" })).headers["content-length"]).toBe("42");
    expect((await ask(server.port, { ":path": "/none" })).headers[":status"]).toBe(204);
  });

  it("with 205 and a body, which it must not have, arrives without", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming, 205, "odd"));
    const got = await ask(server.port, {});
    expect([got.headers[":status"], got.body]).toEqual([205, ""]);
  });

  it("without a body is one frame, and so is one that consists of trailers only", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(headOf(Number.POSITIVE_INFINITY, ["grpc-status", "grpc-status", "5"]));
      incoming.end(null);
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).length > 0);
    expect(client.of(1)).toEqual([`HEADERS ${END_STREAM | END_HEADERS}`]);
  });

  it.each([
    ["of unknown length", headOf(Number.POSITIVE_INFINITY)],
    ["of gRPC with a length", headOf(4, ["content-type", "content-type", "application/grpc+proto"])],
    ["that announces them", headOf(4, ["trailer", "trailer", "x-sum"])],
  ])("%s ends with its trailers", async (_, head) => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(head);
      incoming.write(Buffer.from("body"));
      incoming.end(["x-sum", "x-sum", "7", "x-sum", "x-sum", "8"]);
    });
    const got = await ask(server.port, {});
    expect(got.body).toBe("body");
    expect(got.trailers).toMatchObject({ "x-sum": "7, 8" });
  });

  it("may have 100 KiB of fields; with more than can be sent it is reset, and the process goes on", async () => {
    const server = await startHttp2(({ incoming }) => {
      const size = incoming.head.target === "/more" ? 300 : 100;
      answer(
        incoming,
        200,
        "ok",
        Array(size)
          .fill(["x-a", "x-a", "\x7e".repeat(1_024)])
          .flat(),
      );
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).includes(`DATA ${END_STREAM}`));
    const more: FieldList = [...without(":path"), [":path", "/more"]];
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 3, headerBlock(more)));
    await until(client.closed);
    expect(client.of(3).filter((one) => one.startsWith("DATA"))).toEqual([]);
    expect(server.requests[1]?.told.length).toBeLessThan(2);
  });

  it("may follow interim answers", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendInterim(103, ["link", "link", "</a>", "link", "link", "</b>"]);
      answer(incoming);
    });
    const got = await ask(server.port, {});
    expect(got.interim).toMatchObject([{ ":status": 103, link: "</a>, </b>" }]);
    expect(got.body).toBe("ok");
  });

  it("with a status or fields that HTTP/2 does not know is not sent as if it did", async () => {
    const server = await startHttp2(({ incoming }) => {
      if (incoming.head.target === "/999") answer(incoming, 999, "odd");
      else answer(incoming, 200, "odd", ["x a", "x a", "1"]);
    });
    expect((await ask(server.port, { ":path": "/999" })).headers[":status"]).toBe(502);
    await expect(ask(server.port, { ":path": "/" })).rejects.toThrow("INTERNAL_ERROR");
    expect(server.requests[1]?.told).toEqual([]); // it had ended its answer
  });

  it("that HTTP/2 has no form for is given up: whoever goes on with it is told so, once", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(headOf(Number.POSITIVE_INFINITY, ["x a", "x a", "1"]));
      incoming.write(Buffer.from("part"));
    });
    await expect(ask(server.port, {})).rejects.toThrow("INTERNAL_ERROR");
    await until(() => server.requests[0]?.told.length === 1);
    expect(server.requests[0]?.told).toEqual([expect.stringContaining("gone: the stream was closed")]);
  });

  it("waits for a client that reads slowly, and goes on when it reads", async () => {
    const chunk = Buffer.alloc(64 * 1024, "x");
    const full: boolean[] = [];
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(headOf(Number.POSITIVE_INFINITY));
      for (let i = 0; i < 4; i += 1) full.push(!incoming.write(chunk));
    });
    const client = http2Client(server.port);
    const stream = client.request({});
    await until(() => full.length === 4);
    expect(full).toContain(true);
    expect(server.requests[0]?.told).toEqual([]);
    stream.resume();
    await until(() => server.requests[0]?.told.includes("drain") ?? false);
  });

  it("that comes before the end of the request's body arrives whole, and then stops the body", async () => {
    const server = await startHttp2(({ incoming }) => answer(incoming, 413, "too large"));
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_HEADERS, 1, headerBlock(POST)));
    await until(() => client.resets().length === 1);
    expect(client.of(1)).toEqual([`HEADERS ${END_HEADERS}`, `DATA ${END_STREAM}`, "RST_STREAM 0"]);
    expect(client.resets()).toEqual([0]);
  });
});

describe("an answer that is cut off", () => {
  const cuts: [string, number, (incoming: Incoming) => void][] = [
    ["of known length, at once", 100, (incoming) => incoming.abort()],
    ["of known length, later", 100, (incoming) => setImmediate(() => setImmediate(() => incoming.abort()))],
    ["of unknown length", Number.POSITIVE_INFINITY, (incoming) => setImmediate(() => incoming.abort())],
  ];
  it.each(cuts)("%s never looks whole", async (_, bodyLength, cut) => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(headOf(bodyLength));
      incoming.write(Buffer.from("part"));
      cut(incoming);
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.resets().length > 0);
    expect(client.resets()).toEqual([INTERNAL_ERROR]);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
    expect(server.requests[0]?.told).toEqual([]);
  });

  it("with its connection never looks whole", async () => {
    const server = await startHttp2(({ incoming }) => {
      incoming.sendHead(headOf(100));
      incoming.write(Buffer.from("part"));
    });
    const client = rawHttp2(server.port);
    client.send(frame("HEADERS", END_STREAM | END_HEADERS, 1, headerBlock(GET)));
    await until(() => client.of(1).length === 2);
    server.connections[0]?.destroy();
    await until(client.closed);
    expect(client.frames.filter(({ type, flags }) => type === "DATA" && flags & END_STREAM)).toEqual([]);
    expect(server.requests[0]?.told[0]).toContain("gone");
  });
});
