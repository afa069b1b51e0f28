// Whatever clients and backends do to each other: every pick is released exactly once (the scheduling throws on a
// second release), and no connection or session is left.
import { createSocket } from "node:dgram";
import type { Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMemoryScheduling } from "../test-support/memory-scheduling.ts";
import {
  closedTcpOrigin,
  eventually,
  startClient,
  startStreams,
  startTcpBackend,
} from "./test-support/streams.ts";

const SEED = 4711;

const BACKENDS: Record<string, (socket: Socket) => void> = {
  echo: (socket) => void socket.pipe(socket),
  resetAtOnce: (socket) => void socket.resetAndDestroy(),
  resetAfterData: (socket) => void socket.once("data", () => socket.resetAndDestroy()),
  endAtOnce: (socket) => void socket.end().resume(),
  answerAndClose: (socket) => void socket.once("data", () => socket.end("answer", () => socket.destroy())),
  talkMuch: (socket) => {
    socket.write(Buffer.alloc(512 * 1024, 97));
    socket.on("end", () => socket.end()).resume();
  },
};

const CLIENTS: Record<string, (socket: Socket) => void> = {
  endAtOnce: (socket) => void socket.end(),
  resetAtOnce: (socket) => void socket.resetAndDestroy(),
  sendAndEnd: (socket) => void socket.end("hello"),
  sendAndReset: (socket) => void socket.write("hello", () => socket.resetAndDestroy()),
  sendMuch: (socket) => void socket.end(Buffer.alloc(512 * 1024, 98)),
  endWithTheBackend: (socket) => {
    socket.write("hello");
    socket.on("data", () => socket.end()).on("end", () => socket.end());
  },
  neverReads: (socket) => {
    socket.pause();
    socket.write("hello");
    setTimeout(() => socket.destroy(), 20);
  },
};

describe("counts of connections", () => {
  it("return to zero, whatever the two sides do", async () => {
    const backends = fc.array(fc.constantFrom(...Object.keys(BACKENDS), "closed"), {
      minLength: 1,
      maxLength: 4,
    });
    const clients = fc.array(
      fc.record({ does: fc.constantFrom(...Object.keys(CLIENTS)), late: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 12,
      },
    );
    const urls = new Map<string, string>([["closed", await closedTcpOrigin()]]);
    for (const [name, handle] of Object.entries(BACKENDS))
      urls.set(
        name,
        await startTcpBackend((socket) => {
          handle(socket);
          socket.on("end", () => socket.end());
        }),
      );
    await fc.assert(
      fc.asyncProperty(backends, clients, fc.boolean(), async (names, actors, cutOff) => {
        const scheduling = createMemoryScheduling();
        const answer = scheduling.hesitate();
        const distinct = [...new Set(names)].map((name) => urls.get(name) as string);
        const { port, report, server } = await startStreams(distinct, { scheduling });
        const ends: (() => boolean)[] = [];
        for (const { does, late } of actors) {
          const client = startClient(port);
          ends.push(client.closed);
          client.socket.on("end", () => setImmediate(() => client.socket.end()));
          const act = CLIENTS[does] as (socket: Socket) => void;
          if (late) client.socket.once("connect", () => setImmediate(act, client.socket));
          else client.socket.once("connect", () => act(client.socket));
        }
        await eventually(
          () => report.opened() > 0 || report.finishes.length > 0 || ends.every((end) => end()),
          "connections",
        );
        answer();
        if (cutOff) await server.close(5);
        await eventually(() => ends.every((end) => end()), "all clients to be gone");
        await eventually(() => report.opened() === 0 && scheduling.held() === 0, "the counts to be zero");
        expect(scheduling.released.length).toBe(scheduling.picked.length);
        expect(report.finishes.reduce((sum, { attempts }) => sum + attempts, 0)).toBeLessThanOrEqual(
          scheduling.picked.length,
        );
        await server.close(0);
      }),
      { seed: SEED, numRuns: 100, endOnFailure: true },
    );
  }, 30_000);
});

describe("counts of sessions", () => {
  it("return to zero, whatever backends and clients do", async () => {
    const silent = createSocket("udp4");
    const echo = createSocket("udp4").on("message", (datagram, { port, address }) =>
      echo.send(datagram, port, address),
    );
    for (const socket of [silent, echo]) {
      await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    }
    const closed = (await closedTcpOrigin()).replace("tcp", "udp");
    const urls = [
      closed,
      `udp://127.0.0.1:${silent.address().port}`,
      `udp://127.0.0.1:${echo.address().port}`,
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(urls, { minLength: 1 }),
        fc.array(fc.nat(5), { minLength: 1, maxLength: 30 }),
        fc.option(fc.nat(2)),
        fc.boolean(),
        async (backends, order, responses, hesitates) => {
          const scheduling = createMemoryScheduling();
          const answer = hesitates ? scheduling.hesitate() : () => {};
          const datagrams = { maxSessions: 4, idleMs: 100, ...(responses === null ? {} : { responses }) };
          const { port, report, server } = await startStreams(backends, {
            listener: { protocol: "udp", datagrams },
            scheduling,
          });
          const clients = Array.from({ length: 6 }, () => createSocket("udp4").on("error", () => {}));
          for (const i of order) {
            await new Promise((resolve) => clients[i]?.send("x", port, "127.0.0.1", resolve));
          }
          await eventually(() => report.opened() > 0 || report.finishes.length > 0, "a session");
          answer();
          await server.close(5);
          expect([report.opened(), scheduling.held(), scheduling.waiting()]).toEqual([0, 0, 0]);
          expect(scheduling.released.length).toBe(scheduling.picked.length);
          for (const client of clients) client.close();
        },
      ),
      { seed: SEED, numRuns: 100, endOnFailure: true },
    );
    silent.close();
    echo.close();
  }, 30_000);
});
