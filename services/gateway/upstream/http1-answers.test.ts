import { createServer } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Fault } from "../messages/outgoing.ts";
import { MAX_INTERIMS } from "./limits.ts";
import {
  answering,
  ask,
  eventually,
  listenOn,
  OK,
  onHead,
  start,
  startRaw,
  worldOf,
} from "./test-support/world.ts";

const BIG = 70 * 1024;

describe("an answer over HTTP/1", () => {
  it("is told in one pass, in order and without a flush, when it comes in one piece", async () => {
    const { url } = await answering(OK);
    const { origin } = worldOf(url);
    await ask(origin);
    const { told, head, text } = await ask(origin);
    expect(told).toEqual(["head", "data", "end"]);
    expect(text).toBe("ok");
    expect(head).toEqual({
      status: 200,
      reason: "OK",
      fields: ["Content-Length", "content-length", "2"],
      bodyLength: 2,
      tunnel: false,
    });
  });

  it("is flushed when no more is at hand", async () => {
    const { url } = await startRaw((socket) =>
      onHead(socket, async () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        await turn();
        await turn();
        socket.write("ok");
      }),
    );
    const { told } = await ask(worldOf(url).origin);
    expect(told).toEqual(["head", "flush", "data", "end"]);
  });

  it.each([1, 2, 3, 7, 16])("is the same in pieces of %i bytes", async (size) => {
    const whole =
      "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "4\r\nWiki\r\n6\r\npedia \r\n0\r\nX-Sum: 7\r\n\r\n";
    const { url } = await startRaw((socket) => {
      socket.setNoDelay(true);
      onHead(socket, async () => {
        for (let at = 0; at < whole.length; at += size) {
          socket.write(whole.slice(at, at + size));
          await turn();
        }
      });
    });
    const { interims, head, text, trailers, fault } = await ask(worldOf(url).origin);
    expect(fault).toBeNull();
    expect(interims).toEqual([[103, ["link", "link", "</a>"]]]);
    expect(head).toMatchObject({ status: 200, reason: "Fine", bodyLength: Number.POSITIVE_INFINITY });
    expect(text).toBe("Wikipedia ");
    expect(trailers).toEqual(["X-Sum", "x-sum", "7"]);
  });

  it("hands out chunks that later reading leaves as they are", async () => {
    const { url } = await startRaw((socket) =>
      onHead(socket, async () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        await turn();
        await turn();
        socket.write("def");
      }),
    );
    const { origin } = worldOf(url);
    const first = await ask(origin);
    await ask(origin);
    expect(first.text).toBe("abcdef");
  });

  it("drops an unasked 100 and tells other interim answers", async () => {
    const { url } = await answering(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${OK}`,
    );
    const { interims, text } = await ask(worldOf(url).origin);
    expect(interims).toEqual([[102, []]]);
    expect(text).toBe("ok");
  });

  it("may be preceded by so many interim answers and no more", async () => {
    const interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    const most = await answering(interim.repeat(MAX_INTERIMS) + OK);
    expect((await ask(worldOf(most.url).origin)).text).toBe("ok");
    const more = await answering(interim.repeat(MAX_INTERIMS + 1) + OK);
    expect((await ask(worldOf(more.url).origin)).fault).toBe("invalid-answer");
    await eventually(() => more.open() === 0, "the connection to be closed");
  });

  it("ends with the connection when nothing else says where", async () => {
    const { url } = await startRaw((socket) =>
      onHead(socket, () => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it")),
    );
    const { text, ended, head } = await ask(worldOf(url).origin);
    expect([text, ended, head?.bodyLength]).toEqual(["all of it", true, Number.POSITIVE_INFINITY]);
  });

  it("arrives whole when it is large, and is the same as what was sent", async () => {
    const body = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef0");
    const server = createServer((_request, response) => response.end(body));
    const port = await listenOn(server);
    const { chunks } = await ask(worldOf(`http://127.0.0.1:${port}`).origin);
    expect(Buffer.concat(chunks).equals(body)).toBe(true);
  });
});

type Rude = [string, string, "stay" | "end" | "reset", Fault];

const RUDE: Rude[] = [
  ["nothing", "", "end", "broken"],
  ["a reset", "", "reset", "broken"],
  ["half a header section", "HTTP/1.1 200 OK\r\nContent-Le", "end", "broken"],
  ["less than its Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "end", "broken"],
  [
    "less than its Content-Length, then a reset",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    "reset",
    "broken",
  ],
  ["no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "end", "broken"],
  [
    "half of the last chunk",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    "end",
    "broken",
  ],
  ["an end of the connection that is a reset", "HTTP/1.1 200 OK\r\n\r\nabc", "reset", "broken"],
  ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n", "stay", "invalid-answer"],
  ["binary data", "\x15\x03\x01\0\x02\x02", "stay", "invalid-answer"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n", "stay", "invalid-answer"],
  ["no status", "HTTP/1.1 OK\r\n\r\n", "stay", "invalid-answer"],
  [
    "two lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "stay",
    "invalid-answer",
  ],
  ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "stay", "invalid-answer"],
  [
    "length and coding",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "stay",
    "invalid-answer",
  ],
  [
    "a coding that is unknown",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "stay",
    "invalid-answer",
  ],
  ["a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", "stay", "invalid-answer"],
  [
    "a chunk size that is none",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "stay",
    "invalid-answer",
  ],
  [
    "a header section beyond the bound",
    `HTTP/1.1 200 OK\r\n${`x: ${"y".repeat(1_000)}\r\n`.repeat(70)}`,
    "stay",
    "invalid-answer",
  ],
  ["one field beyond the bound", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(BIG)}`, "stay", "invalid-answer"],
  [
    "a switch of protocols unasked",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "stay",
    "invalid-answer",
  ],
];

describe("a rude backend over HTTP/1", () => {
  it.each(RUDE)(
    "that answers %s makes the attempt fail and loses its connection",
    async (_, answer, then, fault) => {
      const backend = await startRaw((socket) =>
        onHead(socket, () => {
          socket.write(answer, "latin1", () => {
            if (then === "end") socket.end();
            if (then === "reset") setImmediate(() => socket.resetAndDestroy());
          });
        }),
      );
      const receiver = await ask(worldOf(backend.url).origin);
      expect(receiver.fault).toBe(fault);
      expect(receiver.told).not.toContain("end");
      expect(receiver.outgoing?.sent).toBe(true);
      backend.sockets[0]?.end();
      await eventually(() => backend.open() === 0, "the connection to be closed");
    },
  );

  it("that answers more than it said is believed for what it said, and its connection is closed", async () => {
    const backend = await answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    const { origin } = worldOf(backend.url);
    expect((await ask(origin)).text).toBe("ok");
    expect((await ask(origin)).text).toBe("ok");
    expect(backend.sockets).toHaveLength(2);
  });

  it.each(["HEAD", "GET"])(
    "that answers %s with a body where none may be gets its connection closed",
    async (method) => {
      const status = method === "HEAD" ? "200 OK" : "304 Not Modified";
      const backend = await answering(`HTTP/1.1 ${status}\r\nContent-Length: 4\r\n\r\nevil`);
      const { origin } = worldOf(backend.url);
      for (let i = 1; i <= 2; i += 1) {
        const { text, ended } = await ask(origin, { method });
        expect([text, ended]).toEqual(["", true]);
        expect(backend.sockets).toHaveLength(i);
      }
    },
  );

  it("that speaks while nothing is asked gets its connection closed", async () => {
    const backend = await answering(OK);
    const { origin } = worldOf(backend.url);
    await ask(origin);
    backend.sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    await eventually(() => backend.open() === 0, "the connection to be closed");
    const { text } = await ask(origin);
    expect(text).toBe("ok");
    expect(backend.sockets).toHaveLength(2);
  });

  it("that answers before it has the request is heard, and its connection is closed", async () => {
    const backend = await startRaw((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
    });
    const { origin } = worldOf(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: 1_000_000 });
    await eventually(() => receiver.told.includes("ready"), "the header section to be sent");
    receiver.outgoing?.write(Buffer.alloc(1_000));
    await eventually(() => receiver.ended, "the answer");
    expect([receiver.head?.status, receiver.text]).toEqual([413, "no"]);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("that answers before it has the request does not get its connection used again, though the rest is sent", async () => {
    const backend = await startRaw((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno"));
    });
    const { origin } = worldOf(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: 2_000 });
    await eventually(() => receiver.told.includes("ready"), "the header section to be sent");
    receiver.outgoing?.write(Buffer.alloc(1_000));
    await eventually(() => receiver.text === "no", "the first of the answer");
    receiver.outgoing?.write(Buffer.alloc(1_000));
    receiver.outgoing?.end(null);
    backend.sockets[0]?.write("ne");
    await eventually(() => receiver.ended, "the answer");
    expect(receiver.text).toBe("none");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("that resets connections as soon as it has accepted them makes the attempt fail", async () => {
    const backend = await startRaw((socket) => socket.resetAndDestroy());
    expect((await ask(worldOf(backend.url).origin)).fault).toBe("broken");
  });
});
