import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import {
  answering,
  ask,
  eventually,
  OK,
  onHead,
  type RawBackend,
  start,
  startRaw,
  worldOf,
} from "./test-support/world.ts";

/** What it received, in the pieces in which it came. */
async function recording(answerAfter: string): Promise<RawBackend & { pieces: string[]; text(): string }> {
  const pieces: string[] = [];
  const text = () => pieces.join("");
  const backend = await startRaw((socket) => {
    let own = "";
    socket.on("data", (chunk) => {
      pieces.push(chunk.toString("latin1"));
      own += chunk.toString("latin1");
      if (!own.includes(answerAfter)) return;
      own = "";
      socket.write(OK);
    });
  });
  return { ...backend, pieces, text };
}

describe("a request over HTTP/1", () => {
  it("goes out in one piece with its body", async () => {
    const backend = await recording("whole body");
    const { origin } = worldOf(backend.url);
    const request = {
      method: "POST",
      target: "/a?b",
      body: Buffer.from("the whole body"),
      fields: ["X-A", "x-a", "1"],
    };
    for (let i = 0; i < 2; i += 1) expect((await ask(origin, request)).text).toBe("ok");
    const expected =
      "POST /a?b HTTP/1.1\r\nhost: shop.example\r\nX-A: 1\r\ncontent-length: 14\r\n\r\nthe whole body";
    expect(backend.pieces).toEqual([expected, expected]);
  });

  it("carries a large body that is at hand", async () => {
    const body = Buffer.alloc(200_000, "abcdefg");
    const backend = await recording("END");
    const receiver = await ask(worldOf(backend.url).origin, {
      method: "PUT",
      body: Buffer.concat([body, Buffer.from("END")]),
    });
    expect(receiver.text).toBe("ok");
    expect(backend.text().endsWith(`${body.toString()}END`)).toBe(true);
  });

  it("streams a body of known length, the first of it together with the header section", async () => {
    const backend = await recording("world");
    const { origin } = worldOf(backend.url);
    await ask(origin, { method: "POST", body: Buffer.from("world") });
    backend.pieces.length = 0;
    const receiver = start(origin, { method: "POST", bodyLength: 11 });
    const { onBackendReady } = receiver;
    receiver.onBackendReady = () => {
      onBackendReady.call(receiver);
      receiver.outgoing?.write(Buffer.from("hello "));
    };
    await eventually(() => backend.pieces.length === 1, "the first piece");
    expect(receiver.told).toEqual(["ready"]);
    expect(backend.pieces[0]).toMatch(/content-length: 11\r\n\r\nhello $/);
    receiver.outgoing?.write(Buffer.from("world"));
    receiver.outgoing?.end(null);
    await eventually(() => receiver.ended, "the answer");
    expect((await ask(origin, { method: "POST", body: Buffer.from("world") })).text).toBe("ok");
    expect(backend.sockets).toHaveLength(1);
  });

  it("streams a body of unknown length in chunks, with trailers", async () => {
    const backend = await recording("\r\n0\r\n");
    const receiver = start(worldOf(backend.url).origin, {
      method: "POST",
      bodyLength: Number.POSITIVE_INFINITY,
    });
    await eventually(() => receiver.told.includes("ready"), "ready");
    receiver.outgoing?.write(Buffer.from("hello"));
    receiver.outgoing?.write(Buffer.alloc(0));
    receiver.outgoing?.write(Buffer.from("wonderful world!"));
    receiver.outgoing?.end(["X-Sum", "x-sum", "7", "Host", "host", "evil"]);
    await eventually(() => receiver.ended, "the answer");
    const [head, body] = backend.text().split("\r\n\r\n");
    expect(head).toContain("transfer-encoding: chunked");
    expect(`${body}\r\n\r\n`).toBe("5\r\nhello\r\n10\r\nwonderful world!\r\n0\r\nX-Sum: 7\r\n\r\n");
  });

  it.each([
    ["longer", "123456"],
    ["shorter", "1234"],
  ])("whose body is %s than it said loses its connection, and its answer", async (_, body) => {
    const backend = await startRaw((socket) => socket.resume());
    const receiver = start(worldOf(backend.url).origin, { method: "POST", bodyLength: 5 });
    await eventually(() => receiver.told.includes("ready"), "ready");
    receiver.outgoing?.write(Buffer.from(body));
    receiver.outgoing?.end(null);
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("broken");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it.each([
    ["a line break", ["x-a", "x-a", "1\r\nevil: 1"]],
    ["a character beyond Latin-1", ["x-a", "x-a", "€"]],
    ["a name that is none", ["x a", "x a", "1"]],
  ])("with %s in a field is not sent", async (_, fields) => {
    const backend = await answering(OK);
    const { origin } = worldOf(backend.url);
    const receiver = await ask(origin, { fields });
    expect(receiver.fault).toBe("unsendable");
    expect(receiver.outgoing?.sent).toBe(false);
    expect(backend.sockets).toHaveLength(0);
  });

  it("waits while the backend does not read, and goes on when it does", async () => {
    let taken: Socket | null = null;
    const hash = createHash("sha256");
    let bytes = 0;
    const backend = await startRaw((socket) => {
      taken = socket;
    });
    const receiver = start(worldOf(backend.url).origin, { method: "POST", bodyLength: 20 * 1024 * 1024 });
    await eventually(() => receiver.told.includes("ready"), "ready");
    const chunk = Buffer.alloc(64 * 1024, "x");
    let left = 320;
    const pump = () => {
      while (left > 0) {
        left -= 1;
        if (receiver.outgoing?.write(chunk) === false) return;
      }
      receiver.outgoing?.end(null);
    };
    pump();
    expect(left).toBeGreaterThan(200);
    const { onBackendDrain } = receiver;
    receiver.onBackendDrain = () => {
      onBackendDrain.call(receiver);
      pump();
    };
    const socket = taken as unknown as Socket;
    socket.on("data", (data) => {
      hash.update(data);
      bytes += data.length;
      if (bytes > 20 * 1024 * 1024) socket.write(OK);
    });
    await eventually(() => receiver.over, "the answer");
    expect(receiver.text).toBe("ok");
    expect(receiver.told).toContain("drain");
  });

  it("holds the backend back while its answer is not read", async () => {
    const whole = 32 * 1024 * 1024;
    let written = 0;
    const backend = await startRaw((socket) =>
      onHead(socket, () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${whole}\r\n\r\n`);
        const chunk = Buffer.alloc(64 * 1024);
        const pump = () => {
          while (written < whole) {
            written += chunk.length;
            if (!socket.write(chunk)) return;
          }
        };
        socket.on("drain", pump);
        pump();
      }),
    );
    const { origin, looked } = worldOf(backend.url);
    const receiver = start(origin);
    receiver.onChunk = () => receiver.outgoing?.pause();
    await eventually(() => receiver.chunks.length > 0, "the first of the body");
    const seen = receiver.chunks.length;
    await looked();
    expect(receiver.chunks.length).toBe(seen);
    expect(written).toBeLessThan(whole / 2);
    receiver.onChunk = null;
    receiver.outgoing?.resume();
    await eventually(() => receiver.over, "the end");
    expect(receiver.chunks.reduce((sum, { length }) => sum + length, 0)).toBe(whole);
  });

  it("that is aborted closes its connection at once and hears no more", async () => {
    const backend = await startRaw((socket) =>
      onHead(socket, () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")),
    );
    const { origin } = worldOf(backend.url);
    const receiver = start(origin);
    receiver.onChunk = () => receiver.outgoing?.abort();
    await eventually(
      () => backend.sockets.length === 1 && backend.open() === 0,
      "the connection to be closed",
    );
    expect(receiver.told).toEqual(["head", "data"]);
    const early = start(origin);
    early.outgoing?.abort();
    const other = start(origin);
    await eventually(() => other.text === "abc", "another answer");
    expect(early.told).toEqual([]);
  });
});

describe("a tunnel over HTTP/1", () => {
  const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

  async function tunnel(onData: (socket: Socket, text: string) => void) {
    const backend = await startRaw((socket) => {
      onHead(socket, () => {
        socket.removeAllListeners("data");
        socket.write(`${SWITCH}welcome`);
        socket.on("data", (chunk) => onData(socket, chunk.toString()));
      });
    });
    const world = worldOf(backend.url);
    const receiver = start(world.origin, { upgrade: "websocket", idleMs: 1_000, tunnelIdleMs: 5_000 });
    await eventually(() => receiver.text === "welcome", "the tunnel");
    return { backend, receiver, ...world };
  }

  it("carries bytes both ways, those behind the header section first", async () => {
    const { receiver } = await tunnel((socket, text) => socket.write(text.toUpperCase()));
    expect(receiver.head).toMatchObject({ status: 101, tunnel: true });
    expect(receiver.told).toEqual(["head", "data", "flush"]);
    receiver.outgoing?.write(Buffer.from("hello"));
    await eventually(() => receiver.text === "welcomeHELLO", "the echo");
  });

  it("can be ended on the client's side and still brings what the backend says", async () => {
    const { backend, receiver } = await tunnel(() => {});
    const [socket] = backend.sockets as [Socket];
    socket.on("end", () => socket.end("bye"));
    receiver.outgoing?.write(Buffer.from("hello"));
    receiver.outgoing?.end(null);
    await eventually(() => receiver.over, "the end");
    expect([receiver.text, receiver.ended]).toEqual(["welcomebye", true]);
    await eventually(() => socket.destroyed, "the connection to be closed");
  });

  it("can be ended on the backend's side and still takes what the client says", async () => {
    let heard = "";
    const { backend, receiver } = await tunnel((_, text) => {
      heard += text;
    });
    const [socket] = backend.sockets as [Socket];
    socket.end("bye");
    await eventually(() => receiver.ended, "the end");
    expect(receiver.text).toBe("welcomebye");
    receiver.outgoing?.write(Buffer.from("still here"));
    receiver.outgoing?.end(null);
    await eventually(() => heard === "still here" && socket.destroyed, "what the client said, and the end");
  });

  it("is closed by an abort after the backend has ended it", async () => {
    const { backend, receiver } = await tunnel(() => {});
    backend.sockets[0]?.end();
    await eventually(() => receiver.ended, "the end");
    receiver.outgoing?.abort();
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("is cut when both sides have been silent for too long", async () => {
    const { backend, receiver, pass, looked } = await tunnel((socket, text) => socket.write(text));
    for (let i = 0; i < 3; i += 1) {
      pass(4_000);
      const before = receiver.text.length;
      receiver.outgoing?.write(Buffer.from("x"));
      await eventually(() => receiver.text.length > before, "the echo");
    }
    expect(receiver.fault).toBeNull();
    await looked();
    pass(6_000);
    await eventually(() => receiver.over, "the cut");
    expect(receiver.fault).toBe("idle-timeout");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("is an ordinary answer when the backend does not switch", async () => {
    const backend = await answering(OK);
    const { origin } = worldOf(backend.url);
    const receiver = await ask(origin, { upgrade: "websocket" });
    expect([receiver.head?.tunnel, receiver.text]).toEqual([false, "ok"]);
    await ask(origin);
    expect(backend.sockets).toHaveLength(1);
  });
});
