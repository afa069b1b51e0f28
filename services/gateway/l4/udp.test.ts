import { createSocket, type Socket } from "node:dgram";
import { describe, expect, it, vi } from "vitest";
import { createMemoryScheduling } from "../test-support/memory-scheduling.ts";
import { eventually, onCleanup, type StreamGateway, startStreams } from "./test-support/streams.ts";

interface Peer {
  socket: Socket;
  /** Texts, in the order in which they came. */
  received: string[];
  port: number;
}

async function startPeer(
  onMessage: (text: string, reply: (text: string | Buffer) => void) => void = () => {},
): Promise<Peer> {
  const socket = createSocket("udp4");
  const received: string[] = [];
  socket.on("error", () => {});
  socket.on("message", (datagram, from) => {
    received.push(datagram.toString("latin1"));
    onMessage(datagram.toString("latin1"), (text) => socket.send(text, from.port, from.address));
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  let open = true;
  socket.on("close", () => {
    open = false;
  });
  onCleanup(() => open && socket.close());
  return { socket, received, port: socket.address().port };
}

const urlOf = ({ port }: Peer) => `udp://127.0.0.1:${port}`;

const startEcho = (name = "") => startPeer((text, reply) => reply(`${name}${text}`));

async function closedUrl(): Promise<string> {
  const peer = await startPeer();
  peer.socket.close();
  return urlOf(peer);
}

const udp = (datagrams: object = {}) => ({ listener: { protocol: "udp" as const, datagrams } });

/** With a clock that the test moves. */
async function withTime(
  run: (pass: (gateway: StreamGateway, ms: number) => void) => Promise<void>,
): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await run(({ clock }, ms) => {
      clock.nowMs += ms;
      vi.advanceTimersByTime(ms);
    });
  } finally {
    vi.useRealTimers();
  }
}

const got = (peer: Peer, ...texts: string[]) =>
  eventually(
    () => peer.received.join() === texts.join(),
    `${texts.join()} to arrive; there is ${peer.received.join()}`,
  );

describe("a udp session", () => {
  it("takes all datagrams of a client to one backend and brings its answers back, until both are silent", () =>
    withTime(async (pass) => {
      const echoes = [await startEcho("1:"), await startEcho("2:")];
      const gateway = await startStreams(echoes.map(urlOf), { ...udp({ idleMs: 1_000 }), frozen: true });
      const { port, scheduling, report, settled } = gateway;
      const client = await startPeer();
      client.socket.send("a", port, "127.0.0.1");
      await got(client, "1:a");
      pass(gateway, 900);
      client.socket.send("b", port, "127.0.0.1");
      await got(client, "1:a", "1:b");
      expect(scheduling.picked).toEqual(["b1"]);
      pass(gateway, 999);
      expect([scheduling.held(), report.opened()]).toEqual([1, 1]);
      pass(gateway, 1);
      await settled();
      expect(scheduling.released).toMatchObject([
        { backend: "b1", outcome: "success", ttfbMs: expect.any(Number) },
      ]);
      expect(report.finishes).toMatchObject([
        { client: "127.0.0.1", result: "ended", bytesIn: 2, bytesOut: 6, backend: "b1" },
      ]);
      expect(report.bytes).toEqual({ in: 2, out: 6 });
      client.socket.send("c", port, "127.0.0.1");
      await got(client, "1:a", "1:b", "1:c");
      expect(scheduling.picked).toEqual(["b1", "b1"]);
    }));

  it("lives on while only one side talks", () =>
    withTime(async (pass) => {
      const backend = await startPeer();
      const gateway = await startStreams([urlOf(backend)], { ...udp({ idleMs: 1_000 }), frozen: true });
      const client = await startPeer();
      for (const texts of [["a"], ["a", "b"], ["a", "b", "c"]]) {
        client.socket.send(texts.at(-1) as string, gateway.port, "127.0.0.1");
        await got(backend, ...texts);
        pass(gateway, 900);
      }
      expect(gateway.scheduling.picked).toEqual(["b1"]);
      pass(gateway, 100);
      await gateway.settled();
    }));

  it("is one for each address and port of a client, and no client gets the answers of another", async () => {
    const echo = await startEcho();
    const { port, scheduling } = await startStreams([urlOf(echo)], udp());
    const clients = await Promise.all(Array.from({ length: 20 }, () => startPeer()));
    for (const [i, client] of clients.entries()) client.socket.send(`hello ${i}`, port, "127.0.0.1");
    for (const [i, client] of clients.entries()) await got(client, `hello ${i}`);
    expect(scheduling.held()).toBe(20);
  });

  it("carries datagrams up to the largest, and empty ones", async () => {
    const echo = await startEcho();
    const { port } = await startStreams([urlOf(echo)], udp());
    const client = await startPeer();
    const largest = "x".repeat(65_507);
    client.socket.send(largest, port, "127.0.0.1");
    await eventually(() => client.received[0]?.length === 65_507, "the largest datagram");
    client.socket.send("", port, "127.0.0.1");
    await eventually(() => client.received.length === 2, "the empty datagram");
    expect(client.received[1]).toBe("");
  });

  it("keeps the datagrams that come before the pick, up to a bound", async () => {
    const echo = await startPeer();
    const scheduling = createMemoryScheduling();
    const answer = scheduling.hesitate();
    const { port, report } = await startStreams([urlOf(echo)], { ...udp(), scheduling });
    const client = await startPeer();
    for (let i = 0; i < 20; i += 1) client.socket.send(`${i}`, port, "127.0.0.1");
    await eventually(() => report.drops.length === 4, "four datagrams to be dropped");
    answer();
    await eventually(() => echo.received.length === 16, "the others to arrive");
    expect(report.drops).toEqual(["waiting", "waiting", "waiting", "waiting"]);
    expect(scheduling.wanted.length).toBe(1);
  });

  it("ends with the last answer that is expected, and the next datagram is picked for anew", async () => {
    const backend = await startPeer((text, reply) => {
      reply(`${text}1`);
      reply(`${text}2`);
    });
    const { port, scheduling, settled } = await startStreams([urlOf(backend)], udp({ responses: 2 }));
    const client = await startPeer();
    client.socket.send("a", port, "127.0.0.1");
    await got(client, "a1", "a2");
    await settled();
    client.socket.send("b", port, "127.0.0.1");
    await got(client, "a1", "a2", "b1", "b2");
    await settled();
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual(["success", "success"]);
  });

  it("ends when its datagram is sent where no answer is expected", async () => {
    const backend = await startPeer();
    const { port, scheduling, settled, report } = await startStreams([urlOf(backend)], udp({ responses: 0 }));
    const client = await startPeer();
    client.socket.send("a", port, "127.0.0.1");
    await got(backend, "a");
    await settled();
    expect(scheduling.released).toMatchObject([{ outcome: "success", ttfbMs: null }]);
    expect(report.finishes).toMatchObject([{ result: "ended" }]);
  });

  it("is a failure of the backend when answers were expected and none came", () =>
    withTime(async (pass) => {
      const backend = await startPeer();
      const gateway = await startStreams([urlOf(backend)], {
        ...udp({ responses: 1, idleMs: 1_000 }),
        frozen: true,
      });
      const client = await startPeer();
      client.socket.send("a", gateway.port, "127.0.0.1");
      await got(backend, "a");
      pass(gateway, 1_000);
      await gateway.settled();
      expect(gateway.scheduling.released).toMatchObject([{ outcome: "failure" }]);
    }));

  it("goes on with another backend when its own refuses", async () => {
    const echo = await startEcho();
    const { port, scheduling } = await startStreams([await closedUrl(), urlOf(echo)], udp());
    const client = await startPeer();
    client.socket.send("lost", port, "127.0.0.1");
    await eventually(() => scheduling.released.length === 1, "the refusal");
    expect(scheduling.released).toMatchObject([{ backend: "b1", outcome: "failure", ttfbMs: null }]);
    expect(scheduling.held()).toBe(0);
    client.socket.send("again", port, "127.0.0.1");
    await got(client, "again");
    expect(scheduling.picked).toEqual(["b1", "b2"]);
    expect(scheduling.wanted).toEqual([{}, { exclude: ["b1"] }]);
  });

  it("ends when all have refused, and the next one may ask all of them again", async () => {
    const { port, scheduling, report, settled } = await startStreams([await closedUrl()], udp());
    const client = await startPeer();
    client.socket.send("1", port, "127.0.0.1");
    await eventually(() => scheduling.released.length === 1, "the refusal");
    client.socket.send("2", port, "127.0.0.1");
    await settled();
    expect(report.finishes).toMatchObject([
      { result: "backend-refused", reason: "ECONNREFUSED", attempts: 1 },
    ]);
    expect(report.drops).toEqual(["no-backend"]);
    client.socket.send("3", port, "127.0.0.1");
    await eventually(() => scheduling.released.length === 2, "the next refusal");
    expect(scheduling.wanted).toEqual([{}, { exclude: ["b1"] }, {}]);
  });

  it("of a static route stays with its backend, which may come back", async () => {
    const { port, scheduling, report, settled } = await startStreams(
      [urlOf(await startEcho()), await closedUrl()],
      {
        ...udp(),
        routes: [{ proxy: "static", backend: "b2" }],
      },
    );
    const client = await startPeer();
    client.socket.send("1", port, "127.0.0.1");
    await eventually(() => report.finishes.length === 1, "the end");
    await settled();
    expect(scheduling.picked).toEqual(["b2"]);
    expect(scheduling.wanted).toEqual([]);
  });
});

describe("bounds of udp", () => {
  it("let the session that was silent longest make room for a new one", async () => {
    const echo = await startEcho();
    const { port, report } = await startStreams([urlOf(echo)], udp({ maxSessions: 2 }));
    const [a, b, c] = [await startPeer(), await startPeer(), await startPeer()];
    for (const client of [a, b]) {
      client.socket.send("1", port, "127.0.0.1");
      await got(client, "1");
    }
    a.socket.send("2", port, "127.0.0.1");
    await got(a, "1", "2");
    c.socket.send("1", port, "127.0.0.1");
    await got(c, "1");
    expect(report.finishes).toMatchObject([{ result: "evicted", bytesIn: 1 }]);
    expect(report.opened()).toBe(2);
    a.socket.send("3", port, "127.0.0.1");
    await got(a, "1", "2", "3");
    expect(report.finishes.length).toBe(1);
  });

  it("drop what is over the sessions of one address, what no route takes, and who may not", async () => {
    const echo = await startEcho();
    const limited = await startStreams([urlOf(echo)], udp({ maxSessionsPerAddress: 1 }));
    const [a, b] = [await startPeer(), await startPeer()];
    a.socket.send("1", limited.port, "127.0.0.1");
    await got(a, "1");
    b.socket.send("1", limited.port, "127.0.0.1");
    await eventually(() => limited.report.drops.length === 1, "the drop");
    expect(limited.report.drops).toEqual(["address-full"]);

    const routes = [{ match: { clients: ["10.0.0.0/8"] } }];
    const routed = await startStreams([urlOf(echo)], { ...udp(), routes });
    const denied = await startStreams([urlOf(echo)], { ...udp(), allowed: () => false });
    a.socket.send("1", routed.port, "127.0.0.1");
    a.socket.send("1", denied.port, "127.0.0.1");
    await eventually(() => routed.report.drops.length + denied.report.drops.length === 2, "the drops");
    expect([...routed.report.drops, ...denied.report.drops]).toEqual(["no-route", "denied"]);
    expect(denied.scheduling.picked).toEqual([]);
  });
});

describe("a udp listener that closes", () => {
  it("serves the sessions it has until the deadline, takes no new ones, and frees its port", async () => {
    const echo = await startEcho();
    const { port, server, report, settled } = await startStreams([urlOf(echo)], udp());
    const [a, b] = [await startPeer(), await startPeer()];
    a.socket.send("1", port, "127.0.0.1");
    await got(a, "1");
    const closed = server.close(200);
    b.socket.send("1", port, "127.0.0.1");
    await eventually(() => report.drops.length === 1, "the drop");
    a.socket.send("2", port, "127.0.0.1");
    await got(a, "1", "2");
    await closed;
    await settled();
    expect(report.drops).toEqual(["closing"]);
    expect(report.finishes).toMatchObject([{ result: "cut" }]);
    const next = createSocket("udp4");
    await new Promise<void>((resolve) => next.bind(port, "127.0.0.1", resolve));
    next.close();
  });

  it("shares its port with nobody", async () => {
    const { port, reopen } = await startStreams([], udp());
    await expect(reopen(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
