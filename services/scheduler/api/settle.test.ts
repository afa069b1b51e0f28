import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiScene, settleBody, startApi } from "../test-support/api-scene.ts";
import { MALFORMED } from "../test-support/malformed.ts";

let scene: ApiScene;
beforeAll(async () => {
  scene = await startApi();
});
afterAll(() => scene.close());

const inflightOf = async (id: string) =>
  (await scene.model.read("shop"))?.backends.find((backend) => backend.id === id)?.inflight ?? 0;

describe("POST /v1/pools/{pool}/settle", () => {
  it("answers picks, counts them, and carries the pool to a gateway that does not have it", async () => {
    const first = await scene.settle("shop", settleBody({ gateway: "one", wants: [{}, {}, {}] }));
    expect(first).toMatchObject({ status: 200, body: { status: "applied", resync: false } });
    expect(first.body.picks.toSorted()).toEqual(["shop-1", "shop-1", "shop-2"]);
    expect(first.body.pool).toEqual(await scene.model.read("shop"));
    const { version } = first.body;
    const held = { "shop-1": 2, "shop-2": 1 };
    const second = await scene.settle(
      "shop",
      settleBody({ gateway: "one", seq: 2, held, version, wants: [{ exclude: ["shop-1"] }] }),
    );
    expect(second.body).toEqual({ status: "applied", resync: false, picks: ["shop-2"], version });
    expect(await scene.model.rows("shop")).toMatchObject({ one: { "shop-1": 2, "shop-2": 2 } });
  });

  it("gives a preferred backend below its bound, and others beyond", async () => {
    const prefer = { backend: "shop-2", below: (await inflightOf("shop-2")) + 2 };
    const wants = [{ prefer }, { prefer }, { prefer }];
    const answer = await scene.settle("shop", settleBody({ gateway: "three", wants }));
    expect(answer).toMatchObject({ status: 200, body: { picks: ["shop-2", "shop-2", "shop-1"] } });
  });

  it("says that a repeated statement is stale", async () => {
    const body = settleBody({ gateway: "two", wants: [] });
    expect((await scene.settle("shop", body)).body.status).toBe("applied");
    expect((await scene.settle("shop", body)).body.status).toBe("stale");
  });

  it("answers 404 for a pool that is not configured", async () => {
    const answer = await scene.settle("ghost", settleBody());
    expect(answer).toMatchObject({ status: 404, body: { code: "unknown_pool", error: expect.any(String) } });
  });

  it("restores a pool that Redis lost, within the request", async () => {
    await scene.model.remove("billing", Number.MAX_SAFE_INTEGER);
    const answer = await scene.settle("billing", settleBody());
    expect(answer).toMatchObject({ status: 200, body: { picks: ["billing-1"] } });
  });

  it.each(MALFORMED)("refuses %s with the reason and the place", async (_what, body, at) => {
    const before = await scene.model.rows("shop");
    const answer = await scene.settle("shop", body);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", at } });
    expect(answer.body.error).toMatch(/\w/);
    expect(await scene.model.rows("shop")).toEqual(before);
  });

  it("names the pool when that is no name", async () => {
    const answer = await scene.settle("-shop", settleBody());
    expect(answer).toMatchObject({ status: 400, body: { at: "/pool" } });
  });

  it.each([
    ["malformed JSON", "{", 400],
    ["an empty body", "", 400],
    ["a key that reaches for the prototype", '{"__proto__":{"gateway":"g"}}', 400],
    ["a body too large", JSON.stringify(settleBody({ gateway: "g".repeat(5_000_000) })), 413],
  ])("refuses %s", async (_what, body, status) => {
    const answer = await scene.settle("shop", body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(/\w/);
  });

  it("refuses what is not JSON", async () => {
    const answer = await scene.ask("POST", "/v1/pools/shop/settle", "a=1", { "content-type": "text/css" });
    expect(answer).toMatchObject({ status: 415, body: { error: expect.any(String) } });
  });

  it("survives a request that ends in the middle", async () => {
    const socket = connect(scene.port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write("POST /v1/pools/shop/settle HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
    socket.destroy();
    const garbage = connect(scene.port, "127.0.0.1");
    garbage.on("error", () => {});
    garbage.resume();
    garbage.write("\x00\x01 nonsense\r\n\r\n");
    await new Promise((resolve) => garbage.once("close", resolve));
    expect((await scene.ask("GET", "/healthz")).status).toBe(200);
  });

  it("keeps deciding after all of that", async () => {
    const answer = await scene.settle("shop", settleBody({ gateway: "last" }));
    expect(answer).toMatchObject({ status: 200, body: { picks: [expect.any(String)] } });
  });
});

describe("settling without a working Redis", () => {
  it("answers 503 with a code, and decides again when it is back", async () => {
    let down = true;
    const failing = await startApi({
      wrap: (ledger) => ({
        ...ledger,
        settle: (pool, statements) =>
          down ? Promise.reject(new Error("Command timed out")) : ledger.settle(pool, statements),
      }),
    });
    expect(await failing.settle("shop", settleBody())).toMatchObject({
      status: 503,
      body: { code: "redis_unavailable", error: expect.stringContaining("timed out") },
    });
    down = false;
    expect((await failing.settle("shop", settleBody())).status).toBe(200);
    await failing.close();
  });
});

describe("settling with a token", () => {
  it("is for those who show it", async () => {
    const guarded = await startApi({ token: "s3cret" });
    const path = "/v1/pools/shop/settle";
    expect((await guarded.ask("POST", path, settleBody())).status).toBe(401);
    const wrong = await guarded.ask("POST", path, settleBody(), { authorization: "Bearer other!" });
    expect(wrong.status).toBe(401);
    const right = await guarded.ask("POST", path, settleBody(), { authorization: "Bearer s3cret" });
    expect(right.status).toBe(200);
    await guarded.close();
  });
});
