import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import {
  encodeFrame,
  KIND,
  SETTLE_BYTES_MAX,
  SETTLE_PATH,
  SETTLE_PROTOCOL,
} from "@evenkeel/core/wire/frames.ts";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type ApiScene, settleBody, startApi } from "../test-support/api-scene.ts";
import { type FrameClient, openFrames } from "../test-support/frame-client.ts";
import { MALFORMED } from "../test-support/malformed.ts";
import { serveSettles } from "./settle-connection.ts";

let scene: ApiScene;
beforeAll(async () => {
  scene = await startApi();
});
afterAll(() => scene.close());

async function open(port = scene.port): Promise<FrameClient> {
  const client = await openFrames(port);
  onTestFinished(() => void client.socket.destroy());
  return client;
}

/** The status of an upgrade as HTTP, 101 when it was made. */
async function tryUpgrade(port: number, headers: Record<string, string>, path = SETTLE_PATH) {
  const asked = request({ host: "127.0.0.1", port, path, headers, agent: false }).end();
  const upgraded = once(asked, "upgrade").then(([, socket]) => {
    socket.destroy();
    return { status: 101, upgrade: "", body: {} as { code?: string; error?: string } };
  });
  const answered = once(asked, "response").then(async ([response]) => {
    let text = "";
    for await (const chunk of response) text += chunk;
    return { status: response.statusCode, upgrade: response.headers.upgrade, body: JSON.parse(text) };
  });
  return Promise.race([upgraded, answered]);
}

const upgradeTo = (upgrade: string, more: Record<string, string> = {}) => ({
  connection: "Upgrade",
  upgrade,
  ...more,
});

describe("the upgrade to a connection for settles", () => {
  it("is made for the protocol this scheduler speaks, whatever the case of its name", async () => {
    for (const name of [SETTLE_PROTOCOL, SETTLE_PROTOCOL.toUpperCase()]) {
      expect((await tryUpgrade(scene.port, upgradeTo(name))).status).toBe(101);
    }
  });

  it.each([
    ["another version", upgradeTo("evenkeel-settle/999")],
    ["another protocol", upgradeTo("websocket")],
    ["none", {}],
  ])("is refused for %s, with what is supported", async (_what, headers) => {
    const refused = await tryUpgrade(scene.port, headers as Record<string, string>);
    expect(refused).toMatchObject({
      status: 426,
      upgrade: SETTLE_PROTOCOL,
      body: { code: "upgrade_required", error: expect.stringContaining(SETTLE_PROTOCOL) },
    });
  });

  it("does not keep requests from being answered that offer to upgrade elsewhere", async () => {
    const answer = await tryUpgrade(scene.port, upgradeTo("h2c"), "/v1/pools");
    expect(answer.status).toBe(200);
    expect((await tryUpgrade(scene.port, upgradeTo(SETTLE_PROTOCOL), "/v1/nothing")).status).toBe(404);
  });

  it("needs the token where there is one", async () => {
    const guarded = await startApi({ token: "s3cret" });
    onTestFinished(() => guarded.close());
    const as = (authorization?: string) =>
      tryUpgrade(guarded.port, upgradeTo(SETTLE_PROTOCOL, authorization ? { authorization } : {}));
    expect((await as()).status).toBe(401);
    expect((await as("Bearer other!")).status).toBe(401);
    expect((await as("Bearer s3cret")).status).toBe(101);
  });
});

describe("a connection for settles", () => {
  it("answers picks, counts them, and carries the pool to a gateway that does not have it", async () => {
    const client = await open();
    const first = await client.settle("shop", settleBody({ gateway: "f1", wants: [{}, {}, {}] }));
    expect(first).toMatchObject({ kind: KIND.answer, body: { status: "applied", resync: false } });
    expect(first.body.picks.toSorted()).toEqual(["shop-1", "shop-1", "shop-2"]);
    expect(first.body.pool).toEqual(await scene.model.read("shop"));
    const { version } = first.body;
    const held = { "shop-1": 2, "shop-2": 1 };
    const body = settleBody({ gateway: "f1", seq: 2, held, version, wants: [{ exclude: ["shop-1"] }] });
    expect((await client.settle("shop", body)).body).toEqual({
      status: "applied",
      resync: false,
      picks: ["shop-2"],
      version,
    });
    expect(await scene.model.rows("shop")).toMatchObject({ f1: { "shop-1": 2, "shop-2": 2 } });
  });

  it("carries the settles of many pools at once, also when they come in pieces", async () => {
    const client = await open();
    const pools = ["shop", "billing", "spare"];
    const bytes = Buffer.concat(
      pools.map((pool, i) =>
        encodeFrame(KIND.settle, i + 1, `${pool}\n${JSON.stringify(settleBody({ gateway: "f2" }))}`),
      ),
    );
    for (let at = 0; at < bytes.length; at += 7) {
      client.socket.write(bytes.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const picks = await Promise.all(
      pools.map(async (_pool, i) => JSON.parse((await client.frame(({ id }) => id === i + 1)).text).picks),
    );
    expect(picks).toEqual([[expect.stringMatching(/^shop/)], ["billing-1"], [null]]);
  });

  it.each(MALFORMED)("refuses %s with the reason and the place, and goes on", async (_what, body, at) => {
    const client = await open();
    const before = await scene.model.rows("shop");
    const refused = await client.settle("shop", body);
    expect(refused).toMatchObject({ kind: KIND.refusal, body: { status: 400, code: "invalid_request", at } });
    expect(refused.body.error).toMatch(/\w/);
    expect(await scene.model.rows("shop")).toEqual(before);
    const next = await client.settle("shop", settleBody({ gateway: "f3", seq: Date.now() }));
    expect(next.kind).toBe(KIND.answer);
  });

  it.each([
    ["no name of a pool", "", 400, "invalid_request"],
    ["a pool that is no name", "-shop", 400, "invalid_request"],
    ["a pool that is not configured", "ghost", 404, "unknown_pool"],
  ])("refuses %s", async (_what, pool, status, code) => {
    const client = await open();
    const refused = await client.settle(pool, settleBody({ gateway: "f4" }));
    expect(refused).toMatchObject({ kind: KIND.refusal, body: { status, code } });
  });

  it("refuses a key that reaches for the prototype", async () => {
    const client = await open();
    const text = JSON.stringify(settleBody({ gateway: "f5" })).replace('"held":{}', '"held":{"__proto__":1}');
    expect((await client.settle("shop", text)).body).toMatchObject({ status: 400 });
  });

  it.each([
    ["what is no JSON", encodeFrame(KIND.settle, 1, "shop\n{"), /JSON/],
    ["a frame without a pool", encodeFrame(KIND.settle, 1, "shop"), /JSON/],
    ["a frame that only a scheduler sends", encodeFrame(KIND.answer, 1, "{}"), /kind/],
    ["a frame of no known kind", Buffer.from("000000056300000001", "hex"), /kind/],
    ["a frame too short", Buffer.from("000000040100000001", "hex"), /short/],
    ["a frame too long", Buffer.from("7fffffff0100000001", "hex"), /long/],
    ["HTTP", Buffer.from("GET /v1/settle HTTP/1.1\r\nhost: x\r\n\r\n"), /long/],
  ])("is closed, with the reason, after %s", async (_what, bytes, reason) => {
    const client = await open();
    client.socket.write(bytes);
    expect((await client.frame(({ kind }) => kind === KIND.closing)).text).toMatch(reason);
    await client.ended;
    const other = await open();
    expect((await other.settle("shop", settleBody({ gateway: "f6", seq: Date.now() }))).kind).toBe(
      KIND.answer,
    );
  });

  it("takes nothing that follows what it does not understand", async () => {
    const client = await open();
    const next = `shop\n${JSON.stringify(settleBody({ gateway: "f9" }))}`;
    const bytes = [encodeFrame(KIND.settle, 1, "shop\n{"), encodeFrame(KIND.settle, 2, next)];
    client.socket.write(Buffer.concat(bytes));
    await client.ended;
    expect(await scene.model.rows("shop")).not.toHaveProperty("f9");
  });

  it("takes a statement as long as the bound", async () => {
    const client = await open();
    const text = JSON.stringify(settleBody({ gateway: "f7" }));
    const padded = text + " ".repeat(SETTLE_BYTES_MAX - text.length - "shop\n".length);
    expect((await client.settle("shop", padded)).kind).toBe(KIND.answer);
  });

  it("answers that it is there", async () => {
    const client = await open();
    client.send(KIND.ping, 9, "");
    expect(await client.frame(({ kind }) => kind === KIND.pong)).toEqual({
      kind: KIND.pong,
      id: 9,
      text: "",
    });
  });

  it("is given up when its gateway vanished without a word", async () => {
    const batcher = { settle: () => {} };
    const ended = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      const onEnd = () => ended.resolve();
      serveSettles({ socket, head: Buffer.alloc(0), batcher, silenceMaxMs: 20, onEnd });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    onTestFinished(() => {
      socket.destroy();
      server.close();
    });
    await ended.promise;
  });

  it("survives a gateway that goes in the middle of a frame", async () => {
    const client = await open();
    client.socket.write(encodeFrame(KIND.settle, 1, "shop\n{}").subarray(0, 11));
    client.socket.resetAndDestroy();
    expect((await scene.ask("GET", "/healthz")).status).toBe(200);
  });

  it("does not read on while its answers are not read", async () => {
    let settles = 0;
    const counting = await startApi({
      wrap: (ledger) => ({
        ...ledger,
        settle(pool, statements) {
          settles += statements.length;
          return ledger.settle(pool, statements);
        },
      }),
    });
    onTestFinished(() => counting.close());
    const client = await open(counting.port);
    client.socket.pause();
    const wants = Array.from({ length: 1_000 }, () => ({}));
    const text = (seq: number) => `shop\n${JSON.stringify(settleBody({ gateway: "f8", seq, wants }))}`;
    let sent = 0;
    // Until this side's buffers are full as well: then the scheduler has stopped reading.
    await expect
      .poll(
        () => {
          for (let i = 0; i < 100; i += 1) client.send(KIND.settle, ++sent, text(sent));
          return client.socket.writableLength > 4_000_000 && settles < sent;
        },
        { timeout: 20_000, interval: 1 },
      )
      .toBe(true);
    client.socket.resume();
    await expect.poll(() => client.frames.length, { timeout: 20_000 }).toBe(sent);
    expect(settles).toBe(sent);
  });

  it("carries what Redis's absence means, and decides again when it is back", async () => {
    let down = true;
    const failing = await startApi({
      wrap: (ledger) => ({
        ...ledger,
        settle: (pool, statements) =>
          down ? Promise.reject(new Error("Command timed out")) : ledger.settle(pool, statements),
      }),
    });
    onTestFinished(() => failing.close());
    const client = await open(failing.port);
    expect(await client.settle("shop", settleBody())).toMatchObject({
      kind: KIND.refusal,
      body: { status: 503, code: "redis_unavailable", error: expect.stringContaining("timed out") },
    });
    down = false;
    expect((await client.settle("shop", settleBody())).kind).toBe(KIND.answer);
  });
});
