import type { PoolState, SettleResult, Statement } from "@evenkeel/core/ledger/ledger.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { describe, expect, it } from "vitest";
import { createBatcher, STATEMENTS_PER_CALL_MAX, WAITING_MAX, WANTS_PER_CALL_MAX } from "./batcher.ts";

const VERSION = 7;
const STATE: PoolState = {
  pool: "shop",
  version: 9,
  policy: "least-connections",
  panic: false,
  backends: [],
};

interface Call {
  pool: string;
  statements: readonly Statement[];
  answer(result?: SettleResult | null): Promise<void>;
  fail(error: Error): Promise<void>;
}

const request = (gateway: string, more: Partial<SettleRequest> = {}): SettleRequest => ({
  gateway,
  seq: 1,
  full: false,
  held: {},
  outcomes: {},
  wants: [{}],
  version: VERSION,
  refresh: false,
  ...more,
});

/** Every want of a statement gets a backend named after its gateway, so that replies show whose they are. */
const picked = (statements: readonly Statement[]): SettleResult => ({
  version: VERSION,
  replies: statements.map(({ gateway, wants }) => ({
    status: "applied",
    resync: false,
    picks: wants.map(() => `for-${gateway}`),
  })),
});

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A batcher over a ledger whose calls are answered by the test. */
function scene(restored: (pool: string) => Promise<boolean> = async () => false) {
  const calls: Call[] = [];
  const counts = { reads: 0, restores: 0, failures: 0, decided: 0 };
  const reads = { answer: async (): Promise<PoolState | null> => STATE };
  const batcher = createBatcher({
    ledger: {
      settle(pool, statements) {
        const { promise, resolve, reject } = Promise.withResolvers<SettleResult | null>();
        calls.push({
          pool,
          statements,
          async answer(result = picked(statements)) {
            resolve(result);
            await settled();
          },
          async fail(error) {
            reject(error);
            await settled();
          },
        });
        return promise;
      },
      read() {
        counts.reads += 1;
        return reads.answer();
      },
    },
    restore(pool) {
      counts.restores += 1;
      return restored(pool);
    },
    observer: {
      calling: () => () => {},
      decided: (_pool, wants) => {
        counts.decided += wants;
      },
      failed: () => {
        counts.failures += 1;
      },
    },
  });
  const call = (i: number) => calls[i] as Call;
  const settle = (pool: string, one: SettleRequest) =>
    new Promise<SettleResponse>((resolve, reject) => {
      batcher.settle(pool, one, (error, response) => (response ? resolve(response) : reject(error)));
    });
  return { batcher: { settle }, calls, call, counts, reads };
}

const gateways = (call: Call) => call.statements.map(({ gateway }) => gateway);
const outcome = (promise: Promise<unknown>) => promise.catch((error) => error.code);

describe("the batcher", () => {
  it("asks the ledger at once when idle, and never twice at the same time for one pool", async () => {
    const { batcher, calls, call } = scene();
    const first = batcher.settle("shop", request("a"));
    expect(calls.map(gateways)).toEqual([["a"]]);
    const second = batcher.settle("shop", request("b"));
    const third = batcher.settle("shop", request("c"));
    await settled();
    expect(calls).toHaveLength(1);
    await call(0).answer();
    expect(calls.map(gateways)).toEqual([["a"], ["b", "c"]]);
    await call(1).answer();
    const replies = await Promise.all([first, second, third]);
    expect(replies.map(({ picks }) => picks)).toEqual([["for-a"], ["for-b"], ["for-c"]]);
    expect(replies.map(({ version }) => version)).toEqual([VERSION, VERSION, VERSION]);
  });

  it("lets pools go on independently of each other", async () => {
    const { batcher, calls, call } = scene();
    void batcher.settle("shop", request("a"));
    const other = batcher.settle("billing", request("b"));
    expect(calls.map(({ pool }) => pool)).toEqual(["shop", "billing"]);
    await call(1).answer();
    expect((await other).picks).toEqual(["for-b"]);
  });

  it("starts anew at once after it was idle", async () => {
    const { batcher, calls, call } = scene();
    void batcher.settle("shop", request("a"));
    await call(0).answer();
    void batcher.settle("shop", request("b"));
    expect(calls.map(gateways)).toEqual([["a"], ["b"]]);
  });

  it("hands the ledger statements without what is only for the scheduler", async () => {
    const { batcher, call } = scene();
    const { version: _, refresh: __, ...statement } = request("a", { held: { "shop-1": 3 } });
    void batcher.settle("shop", request("a", { held: { "shop-1": 3 }, refresh: true }));
    expect(call(0).statements).toEqual([statement]);
  });

  it("puts at most a bounded number of statements into one call, oldest first", async () => {
    const { batcher, calls, call } = scene();
    const names = Array.from({ length: STATEMENTS_PER_CALL_MAX + 3 }, (_, i) => `g${i}`);
    void batcher.settle("shop", request("first"));
    for (const name of names) void batcher.settle("shop", request(name));
    await call(0).answer();
    await call(1).answer();
    expect(gateways(call(1))).toEqual(names.slice(0, STATEMENTS_PER_CALL_MAX));
    expect(gateways(call(2))).toEqual(names.slice(STATEMENTS_PER_CALL_MAX));
    expect(calls).toHaveLength(3);
  });

  it("puts at most a bounded number of wants into one call", async () => {
    const { batcher, call } = scene();
    const wants = Array.from({ length: WANTS_PER_CALL_MAX / 2 }, () => ({}));
    void batcher.settle("shop", request("first"));
    for (const name of ["a", "b", "c"]) void batcher.settle("shop", request(name, { wants }));
    await call(0).answer();
    expect(gateways(call(1))).toEqual(["a", "b"]);
    await call(1).answer();
    expect(gateways(call(2))).toEqual(["c"]);
  });

  it("refuses what exceeds the bound of waiting statements, and serves those before it", async () => {
    const { batcher, call, calls } = scene();
    void batcher.settle("shop", request("first"));
    const waiting = Array.from({ length: WAITING_MAX }, (_, i) => batcher.settle("shop", request(`g${i}`)));
    expect(await outcome(batcher.settle("shop", request("late")))).toBe("overloaded");
    for (let i = 0; i <= Math.ceil(WAITING_MAX / STATEMENTS_PER_CALL_MAX); i += 1) await call(i).answer();
    expect(await Promise.all(waiting)).toHaveLength(WAITING_MAX);
    void batcher.settle("shop", request("again"));
    expect(gateways(calls.at(-1) as Call)).toEqual(["again"]);
  });

  it("rejects a whole batch when the ledger fails, and the next batch goes on", async () => {
    const { batcher, call, counts } = scene();
    const first = outcome(batcher.settle("shop", request("a")));
    const failing = ["b", "c"].map((name) => outcome(batcher.settle("shop", request(name))));
    await call(0).answer();
    const next = batcher.settle("shop", request("d"));
    await call(1).fail(new Error("Command timed out"));
    expect(await Promise.all(failing)).toEqual(["redis_unavailable", "redis_unavailable"]);
    expect(gateways(call(2))).toEqual(["d"]);
    await call(2).answer();
    expect((await next).picks).toEqual(["for-d"]);
    expect(await first).toMatchObject({ picks: ["for-a"] });
    expect(counts).toMatchObject({ failures: 1, decided: 2 });
  });

  it("carries the state to those who have another version or ask for it, read once", async () => {
    const { batcher, call, counts } = scene();
    void batcher.settle("shop", request("first"));
    const behind = batcher.settle("shop", request("behind", { version: VERSION - 1 }));
    const asking = batcher.settle("shop", request("asking", { refresh: true }));
    const current = batcher.settle("shop", request("current"));
    await call(0).answer();
    expect(counts.reads).toBe(0);
    await call(1).answer();
    expect(counts.reads).toBe(1);
    expect(await behind).toEqual({ ...picked([request("behind")]).replies[0], version: 9, pool: STATE });
    expect(await asking).toMatchObject({ picks: ["for-asking"], version: 9, pool: STATE });
    expect(await current).not.toHaveProperty("pool");
  });

  it("does not make those wait for the state who do not need it", async () => {
    const { batcher, call, reads } = scene();
    reads.answer = () => new Promise(() => {});
    void batcher.settle("shop", request("first"));
    void batcher.settle("shop", request("asking", { refresh: true }));
    const current = batcher.settle("shop", request("current"));
    await call(0).answer();
    await call(1).answer();
    expect((await current).picks).toEqual(["for-current"]);
  });

  it("lets the picks stand when only the state cannot be read", async () => {
    const { batcher, call, reads, counts } = scene();
    reads.answer = () => Promise.reject(new Error("Command timed out"));
    const asking = batcher.settle("shop", request("a", { refresh: true }));
    await call(0).answer();
    expect(await asking).toEqual({ ...picked([request("a")]).replies[0], version: VERSION });
    expect(counts.failures).toBe(1);
  });

  it("restores a pool the ledger has lost, and asks once more", async () => {
    const { batcher, call, calls, counts } = scene(async () => true);
    const reply = batcher.settle("shop", request("a"));
    await call(0).answer(null);
    expect(counts.restores).toBe(1);
    await call(1).answer();
    expect((await reply).picks).toEqual(["for-a"]);
    expect(calls).toHaveLength(2);
  });

  it("says that a pool is unknown when it is not in the configuration, without asking again", async () => {
    const { batcher, call, calls, counts } = scene(async () => false);
    const reply = outcome(batcher.settle("ghost", request("a")));
    await call(0).answer(null);
    expect(await reply).toBe("unknown_pool");
    expect(calls).toHaveLength(1);
    expect(counts.failures).toBe(0);
  });

  it("restores only once for one batch", async () => {
    const { batcher, call, counts } = scene(async () => true);
    const reply = outcome(batcher.settle("shop", request("a")));
    await call(0).answer(null);
    await call(1).answer(null);
    expect(await reply).toBe("unknown_pool");
    expect(counts.restores).toBe(1);
  });

  it("rejects the batch when restoring fails, and goes on", async () => {
    const { batcher, call } = scene(() => Promise.reject(new Error("Connection is closed.")));
    const reply = outcome(batcher.settle("shop", request("a")));
    await call(0).answer(null);
    expect(await reply).toBe("redis_unavailable");
    const next = batcher.settle("shop", request("b"));
    await call(1).answer();
    expect((await next).picks).toEqual(["for-b"]);
  });
});
