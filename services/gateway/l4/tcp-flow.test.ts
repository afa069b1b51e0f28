import type { Socket } from "node:net";
import { describe, expect, it, vi } from "vitest";
import { eventually, startClient, startEcho, startStreams, startTcpBackend } from "./test-support/streams.ts";

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

describe("a slow reader", () => {
  /** Bytes that a sender has got rid of before it is stopped, both sockets of the system included. */
  const BOUND = 24 * 1024 * 1024;
  const CHUNK = Buffer.alloc(64 * 1024, 97);

  const pump = (socket: Socket, total: number) => {
    let sent = 0;
    const more = () => {
      while (sent < total) {
        sent += CHUNK.length;
        if (!socket.write(CHUNK)) return;
      }
      socket.end();
    };
    socket.on("drain", more);
    more();
    return () => sent;
  };

  it("stops the other side instead of filling memory, in both directions, and loses nothing", async () => {
    const total = 64 * 1024 * 1024;
    let sent = () => 0;
    let received = 0;
    let reading: Socket | null = null;
    const sending = await startTcpBackend((socket) => {
      sent = pump(socket.resume(), total);
    });
    const reader = await startTcpBackend((socket) => {
      reading = socket.pause();
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
      socket.pause();
      socket.on("end", () => socket.end());
    });
    const down = await startStreams([sending]);
    const slow = startClient(down.port);
    slow.socket.removeAllListeners("data").pause();
    await stalled(() => sent());
    expect(sent()).toBeLessThan(BOUND);
    let got = 0;
    slow.socket.on("data", (chunk: Buffer) => {
      got += chunk.length;
    });
    slow.socket.on("end", () => slow.socket.end()).resume();
    await down.settled();
    expect(got).toBe(total);

    const up = await startStreams([reader]);
    const writer = startClient(up.port);
    const written = pump(writer.socket, total);
    await stalled(written);
    expect(written()).toBeLessThan(BOUND);
    (reading as Socket | null)?.resume();
    await up.settled();
    expect(received).toBe(total);
  }, 20_000);

  it("gets what waited for it unchanged", async () => {
    const sent = seededBytes(12 * 1024 * 1024);
    let at = 0;
    const url = await startTcpBackend((socket) => {
      // Chunks that are below every high-water mark, so that many of them wait.
      const more = () => {
        while (at < sent.length) {
          const taken = socket.write(sent.subarray(at, at + 20_000));
          at += 20_000;
          if (!taken) return;
          if (at % 100_000 === 0) {
            setImmediate(more);
            return;
          }
        }
        socket.end();
      };
      socket.on("drain", more).resume();
      more();
    });
    const { port, settled } = await startStreams([url]);
    const client = startClient(port);
    const chunks: Buffer[] = [];
    client.socket.removeAllListeners("data").pause();
    client.socket.on("end", () => client.socket.end());
    await stalled(() => at);
    client.socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      client.socket.pause();
      setImmediate(() => client.socket.resume());
    });
    client.socket.resume();
    await settled();
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  }, 20_000);

  /** Waits until a number has not changed for many turns. */
  async function stalled(value: () => number): Promise<void> {
    let last = -1;
    let turns = 0;
    await eventually(() => {
      turns = value() === last && last > 0 ? turns + 1 : 0;
      last = value();
      return turns > 2_000;
    }, "the sender to stop");
  }
});

describe("silence", () => {
  it("after a connection has ended means nothing", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { port, report, clock, settled } = await startStreams([await startEcho()], {
        listener: { streams: { idleMs: 1_000 } },
        frozen: true,
      });
      const client = startClient(port, "a");
      client.socket.end();
      await eventually(client.closed, "the connection to close");
      await settled();
      expect(vi.getTimerCount()).toBe(0);
      clock.nowMs += 5_000;
      vi.advanceTimersByTime(5_000);
      expect(report.finishes).toMatchObject([{ result: "ended" }]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("of both directions for as long as allowed cuts the connection off at both sides", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      let fault: NodeJS.ErrnoException | null = null;
      const backend = await startTcpBackend((socket) => {
        socket.pipe(socket);
        socket.on("error", (error) => {
          fault = error;
        });
      });
      const { port, report, scheduling, clock, settled } = await startStreams([backend], {
        listener: { streams: { idleMs: 1_000 } },
        frozen: true,
      });
      const pass = (ms: number) => {
        clock.nowMs += ms;
        vi.advanceTimersByTime(ms);
      };
      const client = startClient(port, "a");
      await said(client, "a");
      pass(900);
      client.socket.write("b");
      await said(client, "ab");
      pass(999);
      expect(report.finishes).toEqual([]);
      pass(1);
      await eventually(client.closed, "the connection to close");
      expect(client.fault()).toBe("ECONNRESET");
      await eventually(() => fault !== null, "the backend to be told");
      await settled();
      expect(report.finishes).toMatchObject([{ result: "idle" }]);
      expect(scheduling.released).toMatchObject([{ outcome: "canceled" }]);
    } finally {
      vi.useRealTimers();
    }
  });
});
