import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { FOLLOWERS_MAX } from "../events/follow.ts";
import { type ApiScene, startApi } from "../test-support/api-scene.ts";
import { createLogs } from "../test-support/logs.ts";

const NOW_MS = 1_790_000_000_000;

let logs: ReturnType<typeof createLogs>;
let scene: ApiScene;
let closed: boolean;
beforeEach(async () => {
  logs = createLogs(["shop", "billing"]);
  scene = await startApi({ wrap: (ledger) => ({ ...ledger, events: logs.events }) });
  closed = false;
});
afterEach(async () => {
  if (!closed) await scene.close();
});

const left = { type: "health", backend: "shop-1", from: "healthy", to: "unhealthy" } as const;
const events = (query = "") => scene.ask("GET", `/v1/events${query}`);
const idsOf = ({ body }: Awaited<ReturnType<typeof events>>): string[] =>
  body.events.map(({ id }: { id: string }) => id);

/** An event that every scheduler is told of. */
function happens(pool: string, atMs: number, event = {}): string {
  const id = logs.append(pool, atMs, event);
  scene.tail.changed(pool);
  return id;
}

describe("GET /v1/events", () => {
  it("answers the newest of all pools, and a cursor to go on from", async () => {
    const [first, second] = [happens("shop", NOW_MS, left), happens("billing", NOW_MS + 1)];
    const answer = await events();
    expect(answer.body.events).toEqual([
      { id: first, pool: "shop", ...left, on: true, version: 1, atMs: NOW_MS },
      { id: second, pool: "billing", type: "panic", on: true, version: 1, atMs: NOW_MS + 1 },
    ]);
    expect(answer.body.more).toBe(false);
    const third = happens("shop", NOW_MS + 2);
    expect(idsOf(await events(`?after=${answer.body.cursor}`))).toEqual([third]);
  });

  it("answers those of one pool, one backend, one kind, or since a time", async () => {
    const panic = happens("shop", NOW_MS);
    const health = happens("shop", NOW_MS + 1, left);
    const other = happens("billing", NOW_MS + 2, { ...left, backend: "billing-1" });
    expect(idsOf(await events("?pool=billing"))).toEqual([other]);
    expect(idsOf(await events("?type=panic"))).toEqual([panic]);
    expect(idsOf(await events("?backend=shop-1"))).toEqual([health]);
    expect(idsOf(await events(`?sinceMs=${NOW_MS + 1}`))).toEqual([health, other]);
    const page = await events(`?sinceMs=${NOW_MS}&limit=2`);
    expect([idsOf(page), page.body.more]).toEqual([[panic, health], true]);
    expect(idsOf(await events("?limit=1"))).toEqual([other]);
  });

  it("tells who is named by a change of members", async () => {
    const joined = happens("shop", NOW_MS, { type: "members", joined: ["shop-1"], left: [] });
    expect(idsOf(await events("?backend=shop-1"))).toEqual([joined]);
    expect(idsOf(await events("?backend=shop-2"))).toEqual([]);
  });

  it.each([
    ["?pool=nobody", 404, "unknown_pool"],
    ["?after=nonsense", 400, "invalid_request"],
    ["?limit=1001", 400, "invalid_request"],
    ["?waitMs=30001", 400, "invalid_request"],
    ["?limit=-1", 400, "invalid_request"],
    ["?type=weather", 400, "invalid_request"],
    ["?wait=1", 400, "invalid_request"],
  ])("refuses %s", async (query, status, code) => {
    expect(await events(query)).toMatchObject({ status, body: { code } });
  });

  it("waits for something new, and answers it at once", async () => {
    const { cursor } = (await events()).body;
    const waiting = events(`?after=${cursor}&waitMs=20000`);
    await expect.poll(() => logs.reads).toBeGreaterThan(0);
    const id = happens("shop", NOW_MS);
    expect(idsOf(await waiting)).toEqual([id]);
  });

  it("goes on waiting when what happened is not what was asked for", async () => {
    const { cursor } = (await events("?pool=shop")).body;
    const waiting = events(`?pool=shop&type=panic&after=${cursor}&waitMs=20000`);
    happens("billing", NOW_MS);
    happens("shop", NOW_MS, left);
    const id = happens("shop", NOW_MS + 1);
    expect(idsOf(await waiting)).toEqual([id]);
  });

  it("answers nothing after the time it was to wait, with a cursor to go on from", async () => {
    const answer = await events("?waitMs=30");
    expect(answer.body.events).toEqual([]);
    const id = happens("shop", NOW_MS);
    expect(idsOf(await events(`?after=${answer.body.cursor}`))).toEqual([id]);
  });

  it("lets only so many wait", async () => {
    const gone = new AbortController();
    const waiting = Array.from({ length: FOLLOWERS_MAX }, () =>
      fetch(`${scene.url}/v1/events?waitMs=20000`, { signal: gone.signal }).catch(() => {}),
    );
    await expect.poll(async () => (await events("?waitMs=1")).status).toBe(503);
    expect((await events()).status).toBe(200);
    gone.abort();
    await Promise.all(waiting);
    await expect.poll(async () => (await events("?waitMs=1")).status).toBe(200);
  });

  it("answers whoever waits when it stops", async () => {
    const waiting = events("?waitMs=20000");
    await expect.poll(() => logs.reads).toBeGreaterThan(0);
    closed = true;
    await scene.close();
    expect((await waiting).status).toBe(200);
  });

  it("is refused while Redis is away", async () => {
    for (const pool of ["shop", "billing", "spare"]) logs.down.add(pool);
    expect(await events()).toMatchObject({ status: 503, body: { code: "redis_unavailable" } });
  });
});

/** A reader of server-sent events. */
async function openStream(headers: Record<string, string> = {}) {
  let text = "";
  let ended = false;
  const asking = request(`${scene.url}/v1/events`, { headers: { accept: "text/event-stream", ...headers } });
  asking.on("error", () => {});
  asking.end();
  const response = await new Promise<import("node:http").IncomingMessage>((resolve) =>
    asking.once("response", resolve),
  );
  response.setEncoding("utf8").on("data", (more) => {
    text += more;
  });
  response
    .on("error", () => {})
    .on("close", () => {
      ended = true;
    });
  return {
    response,
    ids: () =>
      [...text.matchAll(/^data: (.*)$/gm)].flatMap(([, data]) =>
        JSON.parse(data as string).map(({ id }: { id: string }) => id),
      ),
    lastId: () => [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] as string,
    ended: () => ended,
    close: () => asking.destroy(),
  };
}

describe("a stream of server-sent events", () => {
  it("begins with the newest, tells what happens, and goes on where a broken one ended", async () => {
    const first = happens("shop", NOW_MS);
    const stream = await openStream();
    expect(stream.response.headers["content-type"]).toBe("text/event-stream");
    await expect.poll(stream.ids).toEqual([first]);
    const second = happens("billing", NOW_MS + 1, left);
    await expect.poll(stream.ids).toEqual([first, second]);
    stream.close();
    const missed = happens("shop", NOW_MS + 2);
    const next = await openStream({ "last-event-id": stream.lastId() });
    await expect.poll(next.ids).toEqual([missed]);
    next.close();
  });

  it("can be gone on with though nothing was told in it", async () => {
    const stream = await openStream();
    await expect.poll(stream.lastId).toBeTruthy();
    stream.close();
    const missed = happens("shop", NOW_MS);
    const next = await openStream({ "last-event-id": stream.lastId() });
    await expect.poll(next.ids).toEqual([missed]);
    next.close();
  });

  it("leaves nothing open of a client that takes nothing", async () => {
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort());
    onTestFinished(() => void vi.restoreAllMocks());
    const silent = connect(Number(new URL(scene.url).port), "127.0.0.1");
    onTestFinished(() => void silent.destroy());
    silent.on("error", () => {}).pause();
    const ended = once(silent, "close");
    for (let i = 0; i < 1_000; i += 1)
      happens("shop", NOW_MS + i, { ...left, detail: "x".repeat(10_000) } as object);
    silent.write("GET /v1/events?limit=1000 HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n");
    const count = () =>
      new Promise((resolve) => scene.server.server.getConnections((_, open) => resolve(open)));
    await expect.poll(() => logs.reads).toBeGreaterThan(0);
    await expect.poll(count, { timeout: 3_000 }).toBe(0);
    silent.resume();
    await ended;
  });

  it("ends when the scheduler stops", async () => {
    const stream = await openStream();
    closed = true;
    await scene.close();
    await expect.poll(stream.ended).toBe(true);
  });
});
