import { createServer, type Server, type Socket } from "node:net";
import { encodeFrame, KIND } from "@evenkeel/core/wire/frames.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Asked, type FrameServer, startFrameServer } from "../test-support/frame-server.ts";
import { SettleConnection, type SettleConnectionOptions, SettleRefused } from "./settle-connection.ts";

const REQUEST: SettleRequest = {
  gateway: "g1",
  seq: 1,
  full: true,
  held: {},
  outcomes: {},
  wants: [{}],
  version: 0,
  refresh: false,
};
const RESPONSE: SettleResponse = { status: "applied", resync: false, picks: ["a"], version: 1 };

let server: FrameServer;
let asked: Asked[];
beforeEach(async () => {
  asked = [];
  server = await startFrameServer((one) => asked.push(one));
});
afterEach(() => server.close());

function open(more: Partial<SettleConnectionOptions> = {}) {
  const told = { opened: 0, refused: [] as string[], gone: [] as [string, boolean][] };
  const connection = new SettleConnection({
    url: server.url,
    token: "",
    onOpen: () => {
      told.opened += 1;
    },
    onRefused: (reason) => told.refused.push(reason),
    onGone: (reason, draining) => told.gone.push([reason, draining]),
    ...more,
  });
  onTestFinished(() => connection.destroy("the test is over"));
  return { connection, told };
}

/** The answer, or what it failed with; `calls` counts how often it was told. */
function settle(connection: SettleConnection, pool = "shop", request = REQUEST) {
  const { promise, resolve } = Promise.withResolvers<SettleResponse | Error>();
  const one = { promise, calls: 0, id: 0 };
  one.id = connection.settle(pool, request, (error, response) => {
    one.calls += 1;
    resolve((error ?? response) as SettleResponse | Error);
  });
  return one;
}

const untilAsked = (n: number) => expect.poll(() => asked.length, { timeout: 5_000 }).toBe(n);
const one = (i: number) => asked[i] as Asked;

/** Something on a port that speaks no HTTP of its own accord. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<string> {
  const raw: Server = createServer((socket) => {
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    onSocket(socket);
  });
  onTestFinished(() => void raw.close());
  await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(raw.address() as { port: number }).port}`;
}

const answerOf = (more: object) => encodeFrame(KIND.answer, 1, JSON.stringify({ ...RESPONSE, ...more }));

describe("a connection for settles", () => {
  it("carries the settles of all pools at once, and tells their answers apart in any order", async () => {
    const { connection, told } = open({ token: "s3cret" });
    const settles = ["shop", "billing", "spare"].map((pool) => settle(connection, pool));
    await untilAsked(3);
    expect(asked.map(({ pool }) => pool)).toEqual(["shop", "billing", "spare"]);
    expect(one(0).request).toEqual(REQUEST);
    for (const { pool, answer } of asked.toReversed()) answer({ ...RESPONSE, picks: [`for-${pool}`] });
    const answers = (await Promise.all(settles.map(({ promise }) => promise))) as SettleResponse[];
    expect(answers.map(({ picks }) => picks)).toEqual([["for-shop"], ["for-billing"], ["for-spare"]]);
    expect(server.sockets.length).toBe(1);
    expect(server.authorization).toBe("Bearer s3cret");
    expect(told).toEqual({ opened: 1, refused: [], gone: [] });
  });

  it("understands an answer that comes byte by byte", async () => {
    const { connection } = open();
    const waiting = settle(connection);
    await untilAsked(1);
    for (const byte of encodeFrame(KIND.answer, one(0).id, JSON.stringify(RESPONSE))) {
      one(0).socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await waiting.promise).toEqual(RESPONSE);
  });

  it("tells a refusal that no other scheduler would lift from one that another might", async () => {
    const { connection } = open();
    const settles = [settle(connection), settle(connection)];
    await untilAsked(2);
    one(0).refuse(404, "unknown_pool");
    one(1).refuse(503, "redis_unavailable");
    const [final, passing] = await Promise.all(settles.map(({ promise }) => promise));
    expect(final).toBeInstanceOf(SettleRefused);
    expect(passing).toBeInstanceOf(Error);
    expect(passing).not.toBeInstanceOf(SettleRefused);
    expect((passing as Error).message).toContain("redis_unavailable");
  });

  it("fails what is in flight, once each, when the scheduler dies, and what comes after", async () => {
    const { connection, told } = open();
    const settles = [settle(connection), settle(connection, "billing")];
    await untilAsked(2);
    one(0).socket.resetAndDestroy();
    for (const { promise } of settles) expect(await promise).toBeInstanceOf(Error);
    expect(await settle(connection).promise).toBeInstanceOf(Error);
    expect(settles.map(({ calls }) => calls)).toEqual([1, 1]);
    expect(told.gone).toEqual([[expect.any(String), false]]);
  });

  it("fails when nobody listens, and when the URL cannot be one", async () => {
    server.close();
    expect(await settle(open().connection).promise).toBeInstanceOf(Error);
    for (const url of ["http://::1:70000", "http://[half", "nonsense"]) {
      expect(await settle(open({ url }).connection).promise).toBeInstanceOf(Error);
    }
  });

  it("fails when the other side does not answer the upgrade", async () => {
    const url = await rawServer(() => {});
    const { connection, told } = open({ url });
    expect(await settle(connection).promise).toMatchObject({ message: expect.stringContaining("not open") });
    expect(told.refused).toEqual([]);
  });

  it.each(["upgrade: evenkeel-settle/9\r\n", "upgrade: websocket\r\n"])(
    "does not speak to a scheduler that upgrades to another protocol: %j",
    async (named) => {
      const sockets: Socket[] = [];
      const url = await rawServer((socket) => {
        sockets.push(socket);
        socket.once("data", () => socket.write(`HTTP/1.1 101 Fine\r\nconnection: upgrade\r\n${named}\r\n`));
      });
      const { connection, told } = open({ url });
      expect(await settle(connection).promise).toBeInstanceOf(Error);
      expect(told.refused).toEqual([expect.stringContaining("another protocol")]);
      expect(told.opened).toBe(0);
      await expect.poll(() => sockets[0]?.destroyed).toBe(true);
    },
  );

  it.each([401, 426, 503])(
    "says that the scheduler refuses with %i, and fails what was asked",
    async (status) => {
      server.refuseWith = status;
      const { connection, told } = open();
      const failed = await settle(connection).promise;
      expect(failed).toBeInstanceOf(Error);
      expect(failed).not.toBeInstanceOf(SettleRefused); // another scheduler may speak this protocol
      expect(told.refused).toEqual([expect.stringMatching(`${status} no thanks`)]);
      expect(told.opened).toBe(0);
    },
  );

  it.each([
    ["a frame too long", Buffer.from("ffffffff0200000001", "hex")],
    ["a kind that is none", Buffer.from("0000000577000000017b7d", "hex")],
    ["an answer that is no JSON", encodeFrame(KIND.answer, 1, "{")],
    ["an answer without picks", answerOf({ picks: undefined })],
    ["an answer with more picks than were asked for", answerOf({ picks: ["a", "b"] })],
    ["a pool without backends", answerOf({ pool: {} })],
    ["a refusal that says nothing", encodeFrame(KIND.refusal, 1, "null")],
  ])("fails what is in flight when the scheduler sends %s", async (_what, bytes) => {
    const { connection, told } = open();
    const waiting = settle(connection);
    await untilAsked(1);
    one(0).socket.write(bytes);
    expect(await waiting.promise).toMatchObject({ message: expect.stringContaining("malformed") });
    expect(told.gone).toEqual([[expect.stringContaining("malformed"), false]]);
    await expect.poll(() => one(0).socket.destroyed).toBe(true);
  });

  it("leaves a scheduler that stops when it has answered, and takes no new settles meanwhile", async () => {
    const { connection, told } = open();
    const settles = [settle(connection), settle(connection)];
    await untilAsked(2);
    one(0).framed.send(KIND.closing, 0, "this scheduler stops");
    await expect.poll(() => told.gone).toEqual([[expect.stringContaining("this scheduler stops"), true]]);
    expect(await settle(connection).promise).toBeInstanceOf(Error);
    one(0).answer(RESPONSE);
    expect(await settles[0]?.promise).toEqual(RESPONSE);
    expect(one(0).socket.destroyed).toBe(false);
    one(1).answer(RESPONSE);
    expect(await settles[1]?.promise).toEqual(RESPONSE);
    await expect.poll(() => one(0).socket.destroyed).toBe(true);
  });

  it("when given up, still takes the answers it waits for, and forgets those it is told to", async () => {
    const { connection } = open();
    const [late, other] = [settle(connection), settle(connection)];
    await untilAsked(2);
    connection.retire("as the test wants it");
    expect(connection.forget(late.id)).toBe(true);
    expect(connection.forget(late.id)).toBe(false);
    one(0).answer(RESPONSE);
    one(1).answer(RESPONSE);
    expect(await other.promise).toEqual(RESPONSE);
    await expect.poll(() => one(0).socket.destroyed).toBe(true);
    expect([late.calls, other.calls]).toEqual([0, 1]);
  });

  it("fails when the scheduler does not read, rather than keep without bound what it has to say", async () => {
    server.onSettle = ({ socket }) => socket.pause();
    const { connection } = open();
    const long = { ...REQUEST, gateway: "g".repeat(1_000_000) };
    const settles = Array.from({ length: 60 }, () => settle(connection, "shop", long));
    for (const { promise } of settles) {
      expect(await promise).toMatchObject({ message: expect.stringContaining("unread") });
    }
  });

  it("is given up when nothing comes over it any more", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const { connection, told } = open();
    const first = settle(connection);
    await untilAsked(1);
    one(0).answer(RESPONSE);
    await first.promise;
    vi.advanceTimersByTime(4_000); // heard of, then asked
    await expect.poll(() => server.frames.map(({ kind }) => kind)).toEqual([KIND.ping]);
    one(0).framed.send(KIND.pong, 0, "");
    const second = settle(connection);
    await untilAsked(2);
    one(1).answer(RESPONSE);
    await second.promise; // and so the pong has come, too
    vi.advanceTimersByTime(4_000);
    await expect.poll(() => server.frames.length).toBe(2);
    expect(told.gone).toEqual([]);
    vi.advanceTimersByTime(2_000);
    expect(told.gone).toEqual([[expect.stringContaining("silent"), false]]);
  });
});
