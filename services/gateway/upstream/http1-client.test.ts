import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import {
  answering,
  ask,
  eventually,
  OK,
  onHead,
  type Receiver,
  start,
  startRaw,
  worldOf,
} from "./test-support/world.ts";

const withKeepAlive = (value: string) => OK.replace("\r\n\r\n", `\r\nKeep-Alive: ${value}\r\n\r\n`);

describe("kept-alive connections", () => {
  it("are opened when needed and used again, the last used first", async () => {
    const held: Socket[] = [];
    const backend = await startRaw((socket) =>
      onHead(socket, () => {
        held.push(socket);
      }),
    );
    const { origin } = worldOf(backend.url);
    expect(backend.sockets).toHaveLength(0);
    const both = [start(origin), start(origin)];
    await eventually(() => held.length === 2, "both requests");
    const [first, second] = held.splice(0) as [Socket, Socket];
    second.write(OK);
    await eventually(() => both.some(({ ended }) => ended), "the one answer");
    first.write(OK);
    await eventually(() => both.every(({ ended }) => ended), "the other answer");
    const next = start(origin);
    await eventually(() => held.length === 1, "the next request");
    expect(held[0]).toBe(first);
    first.write(OK);
    await eventually(() => next.ended, "its answer");
    expect(backend.sockets).toHaveLength(2);
  });

  it.each([
    ["Connection: close", "Connection: close"],
    ["Connection: Close among others", "Connection: foo, Close"],
  ])("are not used again after an answer with %s", async (_, field) => {
    const backend = await answering(OK.replace("\r\n\r\n", `\r\n${field}\r\n\r\n`));
    const { origin } = worldOf(backend.url);
    await ask(origin);
    await eventually(() => backend.open() === 0, "the connection to be closed");
    expect((await ask(origin)).text).toBe("ok");
  });

  it("of HTTP/1.0 are used again only where it says so", async () => {
    const plain = await answering(OK.replace("1.1", "1.0"));
    await ask(worldOf(plain.url).origin);
    await eventually(() => plain.open() === 0, "the connection to be closed");
    const keeping = await answering(
      OK.replace("1.1", "1.0").replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"),
    );
    const { origin } = worldOf(keeping.url);
    for (let i = 0; i < 3; i += 1) expect((await ask(origin)).text).toBe("ok");
    expect(keeping.sockets).toHaveLength(1);
  });

  it("stay usable after HEAD, 204 and 304", async () => {
    const answers = [
      "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n",
      OK,
    ];
    const backend = await startRaw((socket) => onHead(socket, () => socket.write(answers.shift() as string)));
    const { origin } = worldOf(backend.url);
    for (const method of ["HEAD", "GET", "GET", "GET"])
      expect((await ask(origin, { method })).ended).toBe(true);
    expect(backend.sockets).toHaveLength(1);
  });

  it.each([
    ["4 s", OK, {}, 4_000],
    ["what the pool says", OK, { idleConnectionMs: 9_000 }, 9_000],
    ["what the backend says, less 2 s", withKeepAlive("timeout=20, max=100"), {}, 18_000],
    ["10 minutes, whatever the backend says", withKeepAlive("timeout=100000"), {}, 600_000],
  ])("are closed after being idle for %s", async (_, answer, settings, idleMs) => {
    const backend = await answering(answer);
    const { origin, pass, looked } = worldOf(backend.url, settings);
    await ask(origin);
    await looked();
    pass(idleMs - 1_000);
    await looked();
    expect(backend.open()).toBe(1);
    pass(1_000);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("are not kept when the backend keeps them hardly longer than a round trip", async () => {
    const backend = await answering(withKeepAlive("timeout=2"));
    await ask(worldOf(backend.url).origin);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it.each([
    ["GET", 1],
    ["PUT", 1],
    ["POST", 2],
    ["PATCH", 2],
  ])("that were idle for a second carry %s over %i connections in all", async (method, connections) => {
    const backend = await answering(OK);
    const { origin, pass, looked } = worldOf(backend.url);
    await ask(origin);
    await looked();
    expect((await ask(origin, { method })).text).toBe("ok");
    expect(backend.sockets).toHaveLength(1);
    await looked();
    pass(1_500);
    expect((await ask(origin, { method })).text).toBe("ok");
    expect(backend.sockets).toHaveLength(connections);
  });

  it("are left alone by a request that wants a fresh one", async () => {
    const backend = await answering(OK);
    const { origin } = worldOf(backend.url);
    await ask(origin);
    await ask(origin, { fresh: true });
    expect(backend.sockets).toHaveLength(2);
  });

  it.each(["end", "resetAndDestroy"] as const)(
    "whose backend closes instead of answering (%s) are called stale, fresh ones broken",
    async (how) => {
      const backend = await startRaw((socket) => {
        let requests = 0;
        onHead(socket, () => {
          requests += 1;
          if (requests === 1) socket.write(OK);
          else socket[how]();
        });
      });
      const { origin } = worldOf(backend.url);
      await ask(origin);
      const { fault, outgoing } = await ask(origin);
      expect([fault, outgoing?.sent]).toEqual(["stale", true]);
      const fresh = await startRaw((socket) => onHead(socket, () => socket[how]()));
      expect((await ask(worldOf(fresh.url).origin)).fault).toBe("broken");
    },
  );

  it("whose backend was at work before it closed are called broken", async () => {
    const backend = await startRaw((socket) => {
      socket.resume().once("data", () => socket.write(OK));
    });
    const { origin, pass, looked } = worldOf(backend.url);
    await ask(origin);
    const receiver = start(origin);
    await looked();
    pass(1_500);
    backend.sockets[0]?.end();
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("broken");
  });
});

describe("waits over HTTP/1", () => {
  it("for the header section end after its limit, interim answers or not", async () => {
    const backend = await startRaw((socket) => onHead(socket, () => {}));
    const { origin, pass, looked } = worldOf(backend.url);
    const receiver = start(origin, { responseHeadersMs: 10_000 });
    await eventually(() => backend.sockets.length === 1, "the connection");
    await looked();
    pass(9_000);
    backend.sockets[0]?.write("HTTP/1.1 103 Early Hints\r\n\r\n");
    await eventually(() => receiver.interims.length === 1, "the interim answer");
    await looked();
    expect(receiver.over).toBe(false);
    pass(1_200);
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("headers-timeout");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("do not run while the client is to send", async () => {
    const backend = await startRaw((socket) => socket.resume());
    const { origin, pass, looked } = worldOf(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: 10, responseHeadersMs: 1_000 });
    await eventually(() => receiver.told.includes("ready"), "ready");
    await looked();
    pass(60_000);
    await looked();
    expect(receiver.over).toBe(false);
    receiver.outgoing?.write(Buffer.alloc(10));
    receiver.outgoing?.end(null);
    await looked();
    pass(1_100);
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("headers-timeout");
  });

  it("end for a backend that does not take the request", async () => {
    const backend = await startRaw(() => {});
    const { origin, pass, looked } = worldOf(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: 1e9, responseHeadersMs: 5_000 });
    await eventually(() => receiver.told.includes("ready"), "ready");
    while (receiver.outgoing?.write(Buffer.alloc(64 * 1024))) {}
    await looked();
    pass(5_100);
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("headers-timeout");
  });

  it("for the body end when it is silent for too long, but not while we do not read", async () => {
    const backend = await startRaw((socket) =>
      onHead(socket, () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")),
    );
    const { origin, pass, looked } = worldOf(backend.url);
    const receiver = start(origin, { idleMs: 2_000 });
    await eventually(() => receiver.text === "abc", "the first of the body");
    receiver.outgoing?.pause();
    await looked();
    pass(10_000);
    await looked();
    expect(receiver.over).toBe(false);
    receiver.outgoing?.resume();
    await looked();
    backend.sockets[0]?.write("def");
    await eventually(() => receiver.text === "abcdef", "more of the body");
    await looked();
    pass(2_100);
    await eventually(() => receiver.over, "the end");
    expect(receiver.fault).toBe("idle-timeout");
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });
});

describe("an origin", () => {
  it("takes so many requests at once and no more", async () => {
    const backend = await startRaw((socket) => onHead(socket, () => {}));
    const { origin } = worldOf(backend.url, { maxConnections: 8 });
    const receivers: Receiver[] = [];
    for (let i = 0; i < 8; i += 1) receivers.push(start(origin));
    expect(receivers.every(({ outgoing }) => outgoing !== null)).toBe(true);
    expect(start(origin).outgoing).toBeNull();
    receivers[0]?.outgoing?.abort();
    const one = start(origin);
    expect(one.outgoing).not.toBeNull();
    expect(start(origin).outgoing).toBeNull();
    for (const { outgoing } of [...receivers, one]) outgoing?.abort();
  });
});
