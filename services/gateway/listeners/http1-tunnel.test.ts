import type { Socket } from "node:net";
import { describe, expect, it, vi } from "vitest";
import {
  asked,
  bytes,
  client,
  eventually,
  get,
  headOf,
  type Seen,
  settled,
  stopClock,
} from "./test-support/http1.ts";

const MIB = 1024 * 1024;

describe("a tunnel", () => {
  const upgrade = get("/", "Connection: Upgrade", "Upgrade: WebSocket");
  const switching = headOf(0, { status: 101, fields: ["Upgrade", "upgrade", "websocket"], tunnel: true });

  it("carries bytes both ways, without framing", async () => {
    const { incoming, seen, send, received } = await asked(upgrade);
    incoming.sendHead(switching);
    await eventually(() => received().endsWith("\r\n\r\n"), "the switch");
    expect(received()).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    );
    incoming.read();
    send(get());
    await eventually(() => seen.body === get(), "what the client sent");
    incoming.write(bytes("0\r\n\r\n"));
    await eventually(() => received().endsWith("upgrade\r\n\r\n0\r\n\r\n"), "what was sent back");
  });

  it("gets what the client sent before it was open only once it is", async () => {
    const { incoming, seen, requests } = await asked(`${upgrade}early`);
    incoming.read();
    await eventually(() => seen.told.includes("end"), "the end of a request without a body");
    expect(seen.body).toBe("");
    incoming.sendHead(switching);
    await eventually(() => seen.body === "early", "the early bytes");
    expect(requests).toHaveLength(1);
  });

  it("that is refused leaves what the client sent to be the next request", async () => {
    const { seen, requests } = await asked(`${upgrade}${get("/next")}`);
    seen.answer("no", 403);
    await eventually(() => requests.length === 2, "the next request");
    expect([seen.body, requests[1]?.incoming.head.target]).toEqual(["", "/next"]);
  });

  it("passes on the end of either side alone", async () => {
    const { incoming, seen, port, requests } = await asked(upgrade);
    incoming.sendHead(switching);
    incoming.abort();
    const { socket, received, ended, closed } = client(port, upgrade, true);
    await eventually(() => requests.length === 2, "the request");
    const other = requests[1] as Seen;
    other.incoming.sendHead(switching);
    other.incoming.read();
    socket.end("last");
    await eventually(() => other.told.includes("end"), "the client's end");
    other.incoming.write(bytes("more"));
    await eventually(() => received().endsWith("more"), "what came after it");
    expect(ended()).toBe(false);
    other.incoming.end(null);
    await eventually(closed, "the connection to close");
    expect([other.body, other.told, seen.told]).toEqual(["last", ["end"], []]);
  });

  it("that we have ended lets the client send its rest, for a bounded while", async () => {
    stopClock();
    const { incoming, seen, port, requests } = await asked(upgrade, { limits: { clientIdleMs: 1_000 } });
    incoming.abort();
    const { socket, send, ended } = client(port, upgrade, true);
    await eventually(() => requests.length === 2, "the request");
    const other = requests[1] as Seen;
    other.incoming.sendHead(switching);
    other.incoming.read();
    other.incoming.end(null);
    await eventually(ended, "our end");
    send("rest");
    await eventually(() => other.body === "rest", "the rest");
    vi.advanceTimersByTime(2_000);
    expect(other.told).toEqual(["gone: the client has sent nothing for too long"]);
    expect([seen.told, socket.destroyed]).toEqual([[], false]);
  });

  it("that both have ended is cut when the client never reads what is left of it", async () => {
    const { incoming, seen, socket, sockets } = await asked(upgrade, { limits: { clientIdleMs: 50 } });
    incoming.sendHead(switching);
    incoming.read();
    socket.pause();
    socket.end();
    await eventually(() => seen.told.includes("end"), "the client's end");
    const server = sockets[0] as Socket;
    let more = true;
    while (server.writableLength === 0) more = incoming.write(Buffer.alloc(16 * 1024));
    expect(more).toBe(true); // nothing to wait for yet
    incoming.end(null);
    await eventually(() => server.destroyed, "the cut");
    expect(seen.told).toEqual(["end"]);
  });

  it("stops the client while nothing is read", async () => {
    const { incoming, seen, send, sockets } = await asked(upgrade);
    incoming.sendHead(switching);
    send("x".repeat(20 * MIB));
    expect(await settled(() => sockets[0]?.bytesRead ?? 0)).toBeLessThan(250_000);
    incoming.read();
    await eventually(() => seen.body.length === 20 * MIB, "all of it");
  });

  it("has no deadline of its own, and tells when the client has gone", async () => {
    stopClock();
    const { incoming, seen, socket } = await asked(upgrade);
    incoming.sendHead(switching);
    incoming.read();
    vi.advanceTimersByTime(10 * 60_000);
    expect(seen.told).toEqual([]);
    socket.resetAndDestroy();
    await eventually(() => seen.told.length === 1, "word of it");
    expect(seen.told[0]).toMatch(/^gone: /);
  });

  it("that nobody asked for is not opened", async () => {
    const { incoming, received, reset } = await asked(get());
    incoming.sendHead(switching);
    await eventually(reset, "the reset");
    expect(received()).toBe("");
  });
});
