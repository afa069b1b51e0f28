import { describe, expect, it, vi } from "vitest";
import { createBreakers } from "../proxy/breaker.ts";
import { createMemoryScheduling } from "../test-support/memory-scheduling.ts";
import {
  closedTcpOrigin,
  eventually,
  startClient,
  startEcho,
  startStreams,
  startTcpBackend,
} from "./test-support/streams.ts";

const said = (client: { received(): string }, text: string) =>
  eventually(() => client.received() === text, `"${text}" to arrive; there is "${client.received()}"`);

function seededBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 4_711;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

describe("a connection", () => {
  it("passes bytes both ways and counts as one in flight until both sides have ended", async () => {
    const { port, scheduling, report, settled } = await startStreams([await startEcho()]);
    const client = startClient(port, "hello");
    await said(client, "hello");
    expect(scheduling.held()).toBe(1);
    expect(report.opened()).toBe(1);
    client.socket.end(" world");
    await eventually(client.closed, "the connection to close");
    expect(client.received()).toBe("hello world");
    expect(client.fault()).toBe(null);
    await settled();
    expect(scheduling.released).toEqual([{ backend: "b1", outcome: "success", ttfbMs: expect.any(Number) }]);
    expect(report.bytes).toEqual({ in: 11, out: 11 });
    expect(report.finishes).toMatchObject([
      {
        listener: "l",
        client: "127.0.0.1",
        route: "r1",
        pool: "p",
        backend: "b1",
        bytesIn: 11,
        bytesOut: 11,
        attempts: 1,
        result: "ended",
      },
    ]);
  });

  it("passes every byte on as it is, whatever the sizes and pauses", async () => {
    const sent = seededBytes(6 * 1024 * 1024);
    const { port, settled, report } = await startStreams([await startEcho()]);
    const client = startClient(port);
    const chunks: Buffer[] = [];
    client.socket.removeAllListeners("data").on("data", (chunk: Buffer) => {
      chunks.push(Buffer.from(chunk));
      if (chunks.length % 16 !== 0) return;
      client.socket.pause();
      setImmediate(() => client.socket.resume());
    });
    const sizes = [1, 17, 4_096, 16_384, 65_536, 70_000, 300_000];
    for (let at = 0, i = 0; at < sent.length; i += 1) {
      const size = sizes[i % sizes.length] as number;
      client.socket.write(sent.subarray(at, at + size));
      at += size;
      if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.end();
    await eventually(client.closed, "the connection to close");
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    await settled();
    expect(report.bytes).toEqual({ in: sent.length, out: sent.length });
  });

  it("keeps the other direction open when one side has ended", async () => {
    const backend = await startTcpBackend((socket) => {
      let got = "";
      socket.on("data", (chunk) => {
        got += chunk;
      });
      socket.on("end", () => socket.end(`you said ${got}`));
    });
    const { port, settled } = await startStreams([backend]);
    const client = startClient(port);
    client.socket.end("all of it");
    await said(client, "you said all of it");
    await settled();

    const greeting = await startTcpBackend((socket) => socket.end("bye").resume());
    const other = await startStreams([greeting]);
    const late = startClient(other.port);
    await eventually(late.ended, "the backend's end to arrive");
    expect(other.scheduling.held()).toBe(1);
    late.socket.write("still here");
    late.socket.end();
    await other.settled();
    expect(other.report.finishes).toMatchObject([{ result: "ended", bytesIn: 10, bytesOut: 3 }]);
  });

  it("is reset at the other side when one side resets it", async () => {
    const { port, report, scheduling, settled } = await startStreams([
      await startTcpBackend((socket) => {
        socket.write("half of ");
        socket.once("data", () => socket.resetAndDestroy());
      }),
    ]);
    const client = startClient(port);
    await said(client, "half of ");
    client.socket.write("go");
    await eventually(client.closed, "the connection to close");
    expect(client.fault()).toBe("ECONNRESET");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "backend-reset" }]);
    expect(scheduling.released).toMatchObject([{ outcome: "success" }]);
  });

  it("is reset at the backend when the client resets it", async () => {
    let fault: NodeJS.ErrnoException | null = null;
    const backend = await startTcpBackend((socket) => {
      socket.write("hello");
      socket.on("error", (error) => {
        fault = error;
      });
    });
    const { port, report, scheduling, settled } = await startStreams([backend]);
    const client = startClient(port);
    await said(client, "hello");
    client.socket.resetAndDestroy();
    await eventually(() => fault !== null, "the backend to be told");
    expect((fault as NodeJS.ErrnoException | null)?.code).toBe("ECONNRESET");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "client-reset" }]);
    expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
  });

  it("held a backend that resets before it said a word against it", async () => {
    const backend = await startTcpBackend((socket) => socket.resetAndDestroy());
    const { port, scheduling, settled } = await startStreams([backend]);
    const client = startClient(port, "hello");
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(scheduling.released).toMatchObject([{ outcome: "failure" }]);
  });
});

describe("backends that cannot be connected to", () => {
  it("are passed over, and what the client sent reaches the next one whole", async () => {
    const { port, scheduling, retried, report, settled } = await startStreams([
      await closedTcpOrigin(),
      await closedTcpOrigin(),
      await startEcho(),
    ]);
    const client = startClient(port, "hello");
    client.socket.end();
    await said(client, "hello");
    await settled();
    expect(scheduling.picked).toEqual(["b1", "b2", "b3"]);
    expect(scheduling.wanted).toEqual([{}, { exclude: ["b1"] }, { exclude: ["b1", "b2"] }]);
    expect(scheduling.released.map(({ outcome }) => outcome)).toEqual(["failure", "failure", "success"]);
    expect(scheduling.released[0]?.ttfbMs).toBe(null);
    expect(retried).toEqual(["p", "p"]);
    expect(report.finishes).toMatchObject([{ attempts: 3, backend: "b3", result: "ended" }]);
  });

  it("leave the client with a reset when there is no other", async () => {
    const { port, report, settled } = await startStreams([await closedTcpOrigin(), await closedTcpOrigin()]);
    const client = startClient(port, "hello");
    await eventually(client.closed, "the connection to close");
    expect(client.fault()).toBe("ECONNRESET");
    await settled();
    expect(report.finishes).toMatchObject([
      { result: "backend-refused", reason: "ECONNREFUSED", attempts: 2 },
    ]);
  });

  it("are not tried more often than the route allows", async () => {
    const closed = await Promise.all([1, 2, 3, 4].map(closedTcpOrigin));
    const { port, scheduling, settled } = await startStreams(closed, { routes: [{ retries: 1 }] });
    const client = startClient(port);
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(scheduling.picked).toEqual(["b1", "b2"]);
  });

  it("are not replaced on a static route", async () => {
    const { port, scheduling, settled } = await startStreams([await startEcho(), await closedTcpOrigin()], {
      routes: [{ proxy: "static", backend: "b2" }],
    });
    const client = startClient(port);
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(scheduling.picked).toEqual(["b2"]);
    expect(scheduling.wanted).toEqual([]);
  });

  it("are given up after the pool's time, and what they still say is ignored", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      // An address without a route to it here: TEST-NET-1.
      const { port, scheduling, settled } = await startStreams(["tcp://192.0.2.1:9", await startEcho()], {
        pool: { connectTimeoutMs: 1_000 },
      });
      const client = startClient(port, "hello");
      await eventually(() => scheduling.picked.length > 0, "a pick");
      vi.advanceTimersByTime(1_000);
      await said(client, "hello");
      client.socket.end();
      await settled();
      expect(scheduling.released).toMatchObject([
        { backend: "b1", outcome: "failure" },
        { backend: "b2", outcome: "success" },
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("are not tried for a while after they have failed too often", async () => {
    let nowMs = 0;
    const settings = { failures: 2, windowMs: 10_000, openMs: 5_000 };
    const breakers = createBreakers({ settings, clock: () => nowMs, onChange: () => {} });
    breakers.configure([{ id: "b1", url: "tcp://h:1" }]);
    const { port, scheduling, settled, report } = await startStreams(
      [await closedTcpOrigin(), await startEcho()],
      { breakers },
    );
    const once = async () => {
      const client = startClient(port, "a");
      await said(client, "a");
      client.socket.end();
      await settled();
      return scheduling.released.splice(0).map(({ outcome }) => outcome);
    };
    expect(await once()).toEqual(["failure", "success"]);
    expect(await once()).toEqual(["failure", "success"]);
    expect(await once()).toEqual(["canceled", "success"]);
    nowMs += 5_000;
    expect(await once()).toEqual(["failure", "success"]);
    expect(await once()).toEqual(["canceled", "success"]);
    expect(report.finishes.every(({ attempts, result }) => attempts === 2 && result === "ended")).toBe(true);
  });

  it("are none at all: the client is reset", async () => {
    const { port, report, settled } = await startStreams([]);
    const client = startClient(port);
    await eventually(client.closed, "the connection to close");
    await settled();
    expect(report.finishes).toMatchObject([{ result: "no-backend", attempts: 0 }]);
  });
});

describe("a client that leaves before there is a backend", () => {
  it("is held against nobody, and a late pick is given back", async () => {
    const scheduling = createMemoryScheduling();
    const answer = scheduling.hesitate();
    const { port, report } = await startStreams([await startEcho()], { scheduling });
    const client = startClient(port);
    await eventually(() => scheduling.waiting() === 1, "the question");
    client.socket.resetAndDestroy();
    await eventually(() => report.finishes.length === 1, "the end");
    answer();
    expect(report.finishes).toMatchObject([{ result: "client-gone" }]);
    expect(scheduling.released).toMatchObject([{ outcome: "canceled", ttfbMs: null }]);
    expect(scheduling.held()).toBe(0);
  });

  it("but has only ended its half still gets its answer", async () => {
    const scheduling = createMemoryScheduling();
    const answer = scheduling.hesitate();
    const { port, settled } = await startStreams([await startEcho()], { scheduling });
    const client = startClient(port, "hello");
    client.socket.end();
    await eventually(() => scheduling.waiting() === 1, "the question");
    answer();
    await said(client, "hello");
    await settled();
  });
});
