import { describe, expect, it, vi } from "vitest";
import { asked, client, eventually, get, headOf, post, startHttp1, stopClock } from "./test-support/http1.ts";

const MIB = 1024 * 1024;

describe("a slow client", () => {
  const limits = { headersTimeoutMs: 1_000, keepAliveMs: 3_000, clientIdleMs: 2_000 };

  it("has a bounded while for all of the header section, not for each byte", async () => {
    stopClock();
    const { port, refused, sockets } = await startHttp1({ limits });
    const { send, received, closed } = client(port);
    for (let i = 0; i < 3; i += 1) {
      send("GET"[i] as string);
      await eventually(() => sockets[0]?.bytesRead === i + 1, "the byte");
      expect(received()).toBe("");
      vi.advanceTimersByTime(500);
    }
    await eventually(() => received() !== "", "the refusal");
    expect(received()).toMatch(/^HTTP\/1\.1 408 /);
    await eventually(closed, "the connection to close");
    expect(refused).toEqual([408]);
  });

  it("that sends nothing is let go without a word, before its first request and after", async () => {
    stopClock();
    const { port, refused } = await startHttp1({ limits, onRequest: (seen) => seen.answer("ok") });
    const clients = [client(port), client(port, get())];
    await eventually(() => clients[1]?.received().endsWith("ok") === true, "the answer");
    await eventually(() => clients[0]?.socket.connecting === false, "the connection");
    vi.advanceTimersByTime(2_500);
    expect(clients.map(({ ended }) => ended())).toEqual([false, false]);
    vi.advanceTimersByTime(1_000);
    await eventually(() => clients.every(({ closed }) => closed()), "both to close");
    expect([clients[0]?.received(), refused]).toEqual(["", []]);
  });

  it("that owes the rest of a body is faulted, and only while that is waited for", async () => {
    stopClock();
    const { incoming, seen, send, received, closed } = await asked(post("Content-Length: 3"), { limits });
    vi.advanceTimersByTime(10_000);
    incoming.read();
    send("a");
    await eventually(() => seen.body === "a", "the part");
    vi.advanceTimersByTime(1_500);
    send("b");
    await eventually(() => seen.body === "ab", "the next part");
    vi.advanceTimersByTime(1_500);
    incoming.pauseReading();
    vi.advanceTimersByTime(10_000);
    expect(seen.told).toEqual([]);
    incoming.read();
    vi.advanceTimersByTime(2_500);
    expect(seen.told).toEqual(["fault 408"]);
    seen.answer("slow", 408);
    await eventually(closed, "the connection to close");
    expect(received()).toMatch(/^HTTP\/1\.1 408 .*connection: close\r\n\r\nslow$/s);
  });

  it("that does not read its answer is cut", async () => {
    const { incoming, seen, socket } = await asked(get(), { limits: { clientIdleMs: 200 } });
    socket.pause();
    incoming.sendHead(headOf(Number.POSITIVE_INFINITY));
    seen.onDrain = () => {
      while (incoming.write(Buffer.alloc(MIB))) {}
    };
    seen.onDrain();
    await eventually(() => seen.told.length > 0, "word of it");
    expect(seen.told).toEqual(["gone: the client has read nothing for too long"]);
  });

  it("that does not read the last answer is cut too", async () => {
    const { seen, socket, sockets } = await asked(get("/", "Connection: close"), {
      limits: { clientIdleMs: 200 },
    });
    socket.pause();
    seen.answer("x".repeat(20 * MIB)); // more than the sockets hold
    await eventually(() => sockets[0]?.destroyed === true, "the end");
    expect(seen.told).toEqual([]);
  });

  it("may take its time while an answer is not ready", async () => {
    stopClock();
    const { seen, received } = await asked(get(), { limits });
    vi.advanceTimersByTime(60_000);
    seen.answer("late");
    await eventually(() => received().endsWith("late"), "the answer");
  });
});
