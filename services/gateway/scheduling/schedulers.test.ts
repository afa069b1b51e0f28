import { KIND } from "@evenkeel/core/wire/frames.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Asked, type FrameServer, startFrameServer } from "../test-support/frame-server.ts";
import { createSchedulers, type Schedulers } from "./schedulers.ts";

const REQUEST: SettleRequest = {
  gateway: "g1",
  seq: 1,
  full: true,
  held: {},
  outcomes: {},
  wants: [],
  version: 0,
  refresh: false,
};
const RESPONSE: SettleResponse = { status: "applied", resync: false, picks: [], version: 1 };

let nowMs: number;
let server: FrameServer;
let other: FrameServer;
let urls: string[];
let lines: [string, string][];
let schedulers: Schedulers;
beforeEach(async () => {
  nowMs = 10_000;
  lines = [];
  [server, other] = await Promise.all([startFrameServer(), startFrameServer()]);
  urls = [server.url, other.url];
  for (const one of [server, other]) one.onSettle = ({ answer }) => answer(RESPONSE);
  const note = (level: string) => (_fields: object, message: string) => lines.push([level, message]);
  const log = { debug: () => {}, info: note("info"), error: note("error") } as unknown as Log;
  schedulers = createSchedulers({ urls: () => urls, token: "", clock: () => nowMs, log });
});
afterEach(() => {
  schedulers.close();
  for (const one of [server, other]) one.close();
});

function settle(url: string) {
  const { promise, resolve } = Promise.withResolvers<SettleResponse | Error>();
  const call = schedulers.settle(url, "shop", REQUEST, (error, response) =>
    resolve((error ?? response) as SettleResponse | Error),
  );
  return { call, promise };
}

describe("the schedulers a gateway knows", () => {
  it("share one connection each among all settles", async () => {
    for (let i = 0; i < 3; i += 1) expect(await settle(server.url).promise).toEqual(RESPONSE);
    await settle(other.url).promise;
    expect([server.sockets.length, other.sockets.length]).toEqual([1, 1]);
  });

  it("get a new connection after one that was lost", async () => {
    await settle(server.url).promise;
    server.sockets[0]?.destroy();
    await expect.poll(() => settle(server.url).promise).toEqual(RESPONSE);
    expect(server.sockets.length).toBe(2);
  });

  it("get a new connection when an answer did not come, while others still come over the old one", async () => {
    const asked: Asked[] = [];
    server.onSettle = (one) => asked.push(one);
    const [late, slow] = [settle(server.url), settle(server.url)];
    await expect.poll(() => asked.length).toBe(2);
    late.call.timeOut(new Error("too late"));
    expect(await late.promise).toMatchObject({ message: "too late" });
    server.onSettle = ({ answer }) => answer({ ...RESPONSE, version: 2 });
    expect(await settle(server.url).promise).toMatchObject({ version: 2 });
    asked[1]?.answer(RESPONSE);
    expect(await slow.promise).toEqual(RESPONSE);
    expect(server.sockets.length).toBe(2);
    await expect.poll(() => server.sockets.map(({ destroyed }) => destroyed)).toEqual([true, false]);
  });

  it("keep their connection when an answer is of no interest any more", async () => {
    server.onSettle = () => {};
    const dropped = settle(server.url);
    dropped.call.abort(new Error("no need"));
    expect(await dropped.promise).toMatchObject({ message: "no need" });
    server.onSettle = ({ answer }) => answer(RESPONSE);
    expect(await settle(server.url).promise).toEqual(RESPONSE);
    expect(server.sockets.length).toBe(1);
  });

  it("are passed over for a while when they say that they stop", async () => {
    const preferred = schedulers.prefer("shop") as string;
    const stopping = [server, other].find(({ url }) => url === preferred) as FrameServer;
    stopping.onSettle = ({ framed, answer }) => {
      framed.send(KIND.closing, 0, "this scheduler stops");
      answer(RESPONSE);
    };
    expect(await settle(preferred).promise).toEqual(RESPONSE);
    expect(schedulers.prefer("shop")).not.toBe(preferred);
    nowMs += 5_000;
    expect(schedulers.prefer("shop")).toBe(preferred);
  });

  it("are logged once when they refuse this gateway, and when they take it again", async () => {
    server.refuseWith = 426;
    for (let i = 0; i < 3; i += 1) expect(await settle(server.url).promise).toBeInstanceOf(Error);
    expect(lines).toEqual([["error", "the scheduler refuses this gateway"]]);
    server.refuseWith = null;
    expect(await settle(server.url).promise).toEqual(RESPONSE);
    expect(lines.slice(1)).toEqual([["info", "the scheduler takes settles again"]]);
  });

  it("lose their connection when they are known no more", async () => {
    await settle(server.url).promise;
    urls = [other.url];
    await settle(other.url).promise;
    await expect.poll(() => server.sockets[0]?.destroyed).toBe(true);
  });
});
