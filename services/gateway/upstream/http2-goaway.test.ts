// What becomes of requests when the backend bounds or ends the HTTP/2 connection that carries them.
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { h2c, ok, over2 } from "./test-support/http2-backend.ts";
import { data, goAway, headers, settings, startFrames } from "./test-support/http2-frames.ts";
import { ask, eventually, type Receiver, start } from "./test-support/world.ts";

const NOBODY_YET = 2 ** 31 - 1;
const whole = (stream: number, text: string) => Buffer.concat([headers(stream), data(stream, text, true)]);

describe("a backend that goes away gracefully", () => {
  /** Streams 1, 3 and 5 on one connection, the last of them an upload; the backend takes 1 and 3. */
  async function leaving() {
    const asked: [Socket, number][] = [];
    const backend = await startFrames((socket, stream) => void asked.push([socket, stream]));
    const world = over2(backend.url);
    const taken = [start(world.origin), start(world.origin)];
    const refused = start(world.origin, { method: "POST", bodyLength: 10 });
    await eventually(() => asked.length === 3 && refused.told.includes("ready"), "the requests");
    refused.outgoing?.write(Buffer.from("half"));
    const socket = asked[0]?.[0] as Socket;
    socket.write(goAway(NOBODY_YET, 0));
    return { ...world, backend, asked, taken, refused, socket };
  }

  it("ends what it has taken, and has not processed what came later", async () => {
    const { taken, refused, socket, backend } = await leaving();
    socket.write(goAway(3, 0));
    await eventually(() => refused.over, "the end of the one not taken");
    expect([refused.fault, refused.outgoing?.sent]).toEqual(["unprocessed", true]);
    expect(taken.map(({ over }) => over)).toEqual([false, false]);
    socket.write(Buffer.concat([whole(1, "one"), whole(3, "three")]));
    await eventually(() => taken.every(({ over }) => over), "the others");
    expect(taken.map(({ text, ended }) => [text, ended])).toEqual([
      ["one", true],
      ["three", true],
    ]);
    await eventually(() => backend.open() === 0, "the connection to be closed");
  });

  it("gets new requests on another connection", async () => {
    const { asked, socket, refused, taken, origin, backend } = await leaving();
    socket.write(Buffer.concat([whole(5, "five"), goAway(5, 0)]));
    await eventually(() => refused.ended, "an answer, which comes after the first word of going");
    const next = start(origin);
    await eventually(() => asked.length === 4, "the next request");
    expect(backend.sockets).toHaveLength(2);
    const [other, stream] = asked[3] as [Socket, number];
    expect([other === backend.sockets[1], stream]).toEqual([true, 1]);
    other.write(whole(1, "next"));
    await eventually(() => next.ended, "its answer");
    expect([next.text, taken[0]?.over]).toEqual(["next", false]);
  });

  it("while nothing is asked is not asked again on that connection", async () => {
    const backend = await startFrames((socket, stream) => socket.write(whole(stream, "ok")));
    const { origin } = over2(backend.url);
    await ask(origin);
    backend.sockets[0]?.write(goAway(1, 0));
    await eventually(() => backend.open() === 0, "the connection to be closed");
    expect((await ask(origin)).text).toBe("ok");
    expect(backend.sockets).toHaveLength(2);
  });

  it("in the moment of a request fails it in a way that may be tried again, or not at all", async () => {
    const backend = await h2c((stream, ...rest) => {
      ok(stream, ...rest);
      stream.session?.close();
    });
    const { origin } = over2(backend.url);
    for (let i = 0; i < 50; i += 1) {
      const { text, fault } = await ask(origin);
      expect(fault === null ? text : fault).toMatch(/^(ok|unprocessed|stale)$/);
    }
    expect(backend.sessions).toBeGreaterThan(10);
  });
});

describe("a connection on which the backend has broken the rules", () => {
  it("ends its request, by a ping at the latest, though Node says nothing to it", async () => {
    const backend = await startFrames((socket, stream) =>
      socket.end(Buffer.concat([goAway(stream, 0), data(stream, "no header section")])),
    );
    const { origin, pass } = over2(backend.url);
    const receiver = start(origin, { method: "POST", bodyLength: 10 });
    await eventually(() => {
      pass(100);
      return receiver.over;
    }, "the end");
    expect(receiver.fault).toBe("broken");
  });
});

describe("a backend's bound on streams", () => {
  it("is kept on every connection from the moment it is known, with further connections for the rest", async () => {
    const asked: [Socket, number][] = [];
    const backend = await startFrames(
      (socket, stream) => void asked.push([socket, stream]),
      settings([3, 2]),
    );
    const { origin } = over2(backend.url);
    const receivers: Receiver[] = [];
    for (let i = 0; i < 5; i += 1) receivers.push(start(origin));
    await eventually(() => asked.length === 5, "all requests");
    const per = backend.sockets.map((socket) => asked.filter(([of]) => of === socket).length);
    expect(per).toEqual([2, 2, 1]);
    for (const [socket, stream] of asked) socket.write(whole(stream, "ok"));
    await eventually(() => receivers.every(({ ended }) => ended), "all answers");
    const more = [start(origin), start(origin)];
    await eventually(() => asked.length === 7, "further requests");
    expect(backend.sockets).toHaveLength(3);
    expect(more.some(({ over }) => over)).toBe(false);
  });
});
