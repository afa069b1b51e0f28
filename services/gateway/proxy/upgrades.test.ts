import type { Socket } from "node:net";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import {
  documentFor,
  eventually,
  onRequestHead,
  sendRaw,
  startGateway,
  startRawBackend,
} from "../test-support/data-path.ts";

const UPGRADE =
  "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n";

interface Backend {
  origin: string;
  /** The connection, once its request is there. */
  socket(): Socket;
  /** All that came, and what of it came before the answer. */
  received(): string;
  before(): string;
  ended(): boolean;
  closed(): boolean;
  connections(): number;
}

/** Answers each upgrade with these bytes; null: with nothing, until it is told to. */
async function startUpgrading(answer: string | null = SWITCHING): Promise<Backend> {
  let held: Socket | null = null;
  let [received, before, ended, closed, connections] = ["", "", false, false, 0];
  const origin = await startRawBackend(
    (socket) => {
      connections += 1;
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
      });
      socket.on("end", () => {
        ended = true;
      });
      socket.on("close", () => {
        closed = true;
      });
      onRequestHead(socket, (head) => {
        held = socket;
        before = head;
        if (answer !== null) socket.write(answer);
      });
    },
    { allowHalfOpen: true },
  );
  return {
    origin,
    socket: () => held as unknown as Socket,
    received: () => received,
    before: () => before,
    ended: () => ended,
    closed: () => closed,
    connections: () => connections,
  };
}

const route: RouteDocument = { name: "all", match: {}, proxy: "dynamic", pool: "p" };

async function opened(config: Parameters<typeof startGateway>[1] = {}) {
  const backend = await startUpgrading();
  const gateway = await startGateway([backend.origin], config);
  const client = sendRaw(gateway.port, UPGRADE, { allowHalfOpen: true });
  await eventually(() => client.received().endsWith("\r\n\r\n"), "the switch");
  return { backend, gateway, client };
}

describe("an upgrade", () => {
  it("becomes a tunnel of bytes both ways, and says so to both sides", async () => {
    const { backend, client, gateway } = await opened();
    expect(client.received()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(client.received().toLowerCase()).toContain("\r\nupgrade: websocket\r\n");
    expect(client.received().toLowerCase()).toContain("\r\nconnection: upgrade\r\n");
    expect(client.received()).toContain("\r\nSec-WebSocket-Accept: a\r\n");
    expect(client.received().toLowerCase()).not.toContain("transfer-encoding");
    expect(backend.before().toLowerCase()).toContain("\r\nupgrade: websocket\r\n");
    expect(backend.before().toLowerCase()).toContain("\r\nconnection: upgrade\r\n");
    client.socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(
      () =>
        backend.received().endsWith("chat HTTP/1.1\r\nHost: h\r\n\r\n") ||
        backend.received().includes("GET / "),
      "the client's bytes",
    );
    backend.socket().write("HTTP/1.1 200 OK\r\n\r\n\x00\xff", "latin1");
    await eventually(() => client.received().endsWith("OK\r\n\r\n\x00\xff"), "the backend's bytes");
    expect(gateway.scheduling.picked).toEqual(["b1"]);
  });

  it("names the one protocol that the backend has chosen", async () => {
    const backend = await startUpgrading("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: second\r\n\r\n");
    const { port } = await startGateway([backend.origin]);
    const client = sendRaw(port, UPGRADE.replace("websocket", "first, second"));
    await eventually(() => client.received().endsWith("\r\n\r\n"), "the switch");
    expect(client.received().match(/^upgrade: .*$/gim)).toEqual(["upgrade: second"]);
  });

  it("passes bytes that the client sends ahead on only once the backend has switched", async () => {
    const backend = await startUpgrading(null);
    const { port, scheduling } = await startGateway([backend.origin]);
    const client = sendRaw(port, `${UPGRADE}early`);
    await eventually(() => backend.before() !== "", "the request");
    client.socket.write(" bytes");
    await eventually(
      () => client.socket.writableLength === 0 && scheduling.held() === 1,
      "the bytes to be sent",
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(backend.received()).toBe(backend.before());
    expect(backend.before()).toMatch(/\r\n\r\n$/);
    backend.socket().write(SWITCHING);
    await eventually(() => backend.received().endsWith("\r\n\r\nearly bytes"), "the bytes");
  });

  it.each([
    ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"],
    ["403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"],
  ])(
    "that a backend answers with %s leaves what follows to be a request of its own",
    async (status, answer) => {
      const backend = await startUpgrading(answer);
      const { port, scheduling } = await startGateway([backend.origin], {
        routes: [route, { name: "next", match: { path: "/next" }, respond: { status: 200, body: "next" } }],
      });
      const client = sendRaw(port, `${UPGRADE}GET /next HTTP/1.1\r\nHost: h\r\n\r\n`);
      await eventually(() => client.received().endsWith("next"), "both answers");
      expect(client.received()).toMatch(
        new RegExp(`^HTTP/1\\.1 ${status} .*\r\n\r\nnoHTTP/1\\.1 200 OK`, "s"),
      );
      expect(backend.received()).not.toContain("/next");
      expect(scheduling.released).toMatchObject([{ outcome: "success" }]);
    },
  );

  it("that nobody asked for is no answer: 502", async () => {
    const backend = await startUpgrading();
    const { port, scheduling } = await startGateway([backend.origin], { routes: [{ ...route, retries: 0 }] });
    const client = sendRaw(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => client.received().startsWith("HTTP/1.1 502 "), "the refusal");
    expect(scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });

  it("tells the client the backend and gives it its session with the switch", async () => {
    const backend = await startUpgrading();
    const pools = documentFor([backend.origin]).pools.map((pool) => ({ ...pool, affinity: {} }));
    const { port } = await startGateway(
      [backend.origin],
      { pools },
      { cookieSecret: () => Buffer.from("s") },
    );
    const client = sendRaw(port, UPGRADE);
    await eventually(() => client.received().endsWith("\r\n\r\n"), "the switch");
    expect(client.received()).toMatch(/^HTTP\/1\.1 101 /);
    expect(client.received()).toContain("\r\nx-evenkeel-backend: b1\r\n");
    expect(client.received()).toMatch(/\r\nset-cookie: evenkeel=b1\./);
  });
});

describe("a tunnel", () => {
  it("holds its pick for as long as it lives, whatever bounds the time and the silence of an answer", async () => {
    let passedMs = 0;
    const clock = () => passedMs + performance.now();
    const silent = { requestMs: 50, idleMs: 1_000, tunnelIdleMs: 60_000 };
    const backend = await startUpgrading();
    const other = await startRawBackend((socket) =>
      onRequestHead(socket, () => socket.write("HTTP/1.1 200 OK\r\n\r\npart")),
    );
    const pools = [
      ...documentFor([backend.origin]).pools,
      { name: "other", backends: [{ id: "o1", url: other }] },
    ];
    const routes: RouteDocument[] = [
      { ...route, timeouts: silent },
      { ...route, name: "timed", match: { path: "/timed" }, pool: "other", timeouts: silent },
      { ...route, name: "idle", match: { path: "/idle" }, pool: "other", timeouts: { idleMs: 1_000 } },
    ];
    const { port, scheduling, logged } = await startGateway([], { pools, routes }, { clock });
    const client = sendRaw(port, UPGRADE);
    await eventually(() => client.received().endsWith("\r\n\r\n"), "the switch");
    const answers = ["/timed", "/idle"].map((path) =>
      sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`),
    );
    await eventually(() => answers[0]?.closed() === true, "an answer to be cut for its time");
    passedMs = 30_000;
    await eventually(() => answers[1]?.closed() === true, "an answer to be cut for its silence");
    expect([client.closed(), scheduling.held(), logged.length]).toEqual([false, 1, 2]);
    passedMs = 120_000;
    await eventually(client.closed, "the tunnel to be cut for its silence");
    expect(scheduling.released.at(-1)).toMatchObject({ backend: "b1", outcome: "success" });
    expect(logged[2]).toMatchObject({ status: 101, reason: expect.stringContaining("idle-timeout") });
  });

  it("that the client ends still brings what the backend has to say", async () => {
    const { backend, client, gateway } = await opened();
    client.socket.end("last words");
    await eventually(backend.ended, "the end at the backend");
    expect(backend.received()).toMatch(/last words$/);
    expect(gateway.scheduling.held()).toBe(1);
    backend.socket().end("answer to them");
    await eventually(client.closed, "the end at the client");
    expect(client.received()).toMatch(/answer to them$/);
    await eventually(() => gateway.scheduling.held() === 0, "the release");
    expect(gateway.scheduling.released).toMatchObject([{ outcome: "success" }]);
    expect(gateway.logged).toMatchObject([{ status: 101, reason: null }]);
  });

  it("that the backend ends still brings what the client has to say", async () => {
    const { backend, client, gateway } = await opened();
    let ended = false;
    client.socket.on("end", () => {
      ended = true;
    });
    backend.socket().end("last words");
    await eventually(() => ended, "the end at the client");
    expect(client.received()).toMatch(/last words$/);
    expect(gateway.scheduling.held()).toBe(1);
    client.socket.end("answer to them");
    await eventually(
      () => backend.received().endsWith("answer to them") && backend.closed(),
      "the end at the backend",
    );
    await eventually(() => gateway.scheduling.held() === 0, "the release");
    expect(gateway.scheduling.released).toMatchObject([{ outcome: "success" }]);
    await eventually(client.closed, "the client's connection to be closed");
  });

  it("whose backend takes no more after its end is over, and its client has got all that there was", async () => {
    const { backend, client, gateway } = await opened();
    backend.socket().end("last words");
    await eventually(() => client.received().endsWith("last words"), "the last words");
    expect(gateway.scheduling.held()).toBe(1);
    backend.socket().destroy();
    await eventually(() => {
      client.socket.write("to nobody");
      return gateway.scheduling.held() === 0;
    }, "the release, though the client has not ended");
    expect(client.closed()).toBe(false);
    expect(gateway.scheduling.released).toMatchObject([{ outcome: "success" }]);
    client.socket.end();
    await eventually(client.closed, "the end of the connection");
    expect(gateway.logged).toHaveLength(1);
  });

  it("that the client leaves is closed at the backend at once, and was a success", async () => {
    const { backend, client, gateway } = await opened();
    client.socket.resetAndDestroy();
    await eventually(backend.ended, "the backend's connection to be closed");
    expect(gateway.scheduling.released).toMatchObject([{ outcome: "success" }]);
    expect(gateway.logged).toMatchObject([{ status: 101, reason: null }]);
  });

  it("that was not open yet when the client left was canceled", async () => {
    const backend = await startUpgrading(null);
    const { port, scheduling } = await startGateway([backend.origin]);
    const client = sendRaw(port, UPGRADE);
    await eventually(() => backend.before() !== "", "the request");
    client.socket.resetAndDestroy();
    await eventually(backend.ended, "the backend's connection to be closed");
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });

  it("whose backend dies is cut, not ended", async () => {
    const { backend, client, gateway } = await opened();
    let error: NodeJS.ErrnoException | null = null;
    client.socket.on("error", (reason) => {
      error = reason;
    });
    backend.socket().resetAndDestroy();
    await eventually(client.closed, "the client's connection to close");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    expect(gateway.scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });

  it("whose client does not read stops the backend from sending", async () => {
    const { backend, client } = await opened();
    client.socket.pause();
    const chunk = Buffer.alloc(64 * 1024, "x");
    let [written, blockedTurns] = [0, 0];
    await eventually(() => {
      const socket = backend.socket();
      if (socket.writableNeedDrain) blockedTurns += 1;
      else {
        blockedTurns = 0;
        socket.write(chunk);
        written += chunk.length;
      }
      return blockedTurns > 500 || written > 64 * 1024 * 1024;
    }, "a backend that cannot write on");
    expect(written).toBeLessThan(64 * 1024 * 1024);
    client.socket.resume();
    await eventually(() => client.received().length > written, "all of it");
  });
});
