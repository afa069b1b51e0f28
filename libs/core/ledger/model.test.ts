import { describe, expect, it } from "vitest";
import { ledgerContract } from "./contract.ts";
import { facts } from "./fixtures.ts";
import { configured } from "./model/membership.ts";
import { pick, renumber } from "./model/picks.ts";
import type { Backend, Gateway, PoolRecord } from "./model/record.ts";
import { createModelLedger } from "./model.ts";
import { TICK_MAX } from "./score.ts";

ledgerContract("the reference model", async () => {
  let nowMs = 1_700_000_000_000;
  return {
    ledger: createModelLedger(() => nowMs),
    advance: (ms) => {
      nowMs += ms;
    },
  };
});

describe("the model's numbers, when they have come to their end,", () => {
  const gateway = (): Gateway => ({ seq: 1, seenMs: 0, row: new Map() });
  const backend = (pool: PoolRecord, id: string) => pool.backends.get(id) as Backend;

  it("of picks start anew without changing who is next", () => {
    const pool = configured(undefined, facts({ a: 1, b: 1, c: 1, d: 1 }), 0);
    pool.tick = TICK_MAX - 1;
    backend(pool, "a").pickedTick = TICK_MAX - 5;
    backend(pool, "b").pickedTick = TICK_MAX - 1;
    backend(pool, "c").pickedTick = 17;
    const g = gateway();
    renumber(pool, 1);
    expect(pool.tick).toBe(TICK_MAX - 1);
    renumber(pool, 2);
    expect(pool.tick).toBe(3);
    expect([pick(pool, g, {}, 0), pick(pool, g, {}, 0), pick(pool, g, {}, 0), pick(pool, g, {}, 0)]).toEqual([
      "d",
      "c",
      "a",
      "b",
    ]);
  });

  it("of turns start anew without changing who is next, also for who is full and behind", () => {
    const pool = configured(
      undefined,
      facts({ a: 1, b: 2, c: 1 }, { policy: "round-robin" }, { c: { maxInflight: 1 } }),
      0,
    );
    const g = gateway();
    expect(pick(pool, g, { exclude: ["a", "b"] }, 0)).toBe("c");
    pool.turn = 2 ** 16;
    backend(pool, "a").turns = 2 ** 16 + 1;
    backend(pool, "b").turns = 2 ** 17 + 1;
    renumber(pool, 1);
    expect([pool.turn, backend(pool, "a").turns, backend(pool, "b").turns, backend(pool, "c").turns]).toEqual(
      [0, 1, 1, 0],
    );
    expect([pick(pool, g, {}, 0), pick(pool, g, {}, 0), pick(pool, g, {}, 0)]).toEqual(["b", "a", "b"]);
  });
});
