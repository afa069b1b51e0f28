import { facts, outcome, statement, wants } from "@evenkeel/core/ledger/fixtures.ts";
import { describe, expect, it } from "vitest";
import { decodeReplies, decodeState, encodeFacts, encodeStatements } from "./encoding.ts";

describe("statements on their way to Redis", () => {
  it("say wants without wishes as their number, in the order of all wants", () => {
    const [heads] = encodeStatements([
      statement("g1", 7, {
        full: true,
        held: { a: 2, b: 0 },
        wants: [
          ...wants(3),
          { exclude: ["a"], zone: "eu" },
          { exclude: [] },
          { ranked: ["a", "b"], stick: "c" },
          { prefer: { backend: "a", below: 8 } },
        ],
      }),
    ]);
    expect(JSON.parse(heads as string)).toEqual([
      [
        "g1",
        7,
        1,
        ["a", 2, "b", 0],
        [3, { x: ["a"], z: "eu" }, 1, { r: "a b", s: "c" }, { p: "a", b: 8 }],
        7,
        0,
        0,
      ],
    ]);
  });

  it("bring outcomes as texts of their own, none where there are none, and tell whether something failed", () => {
    const [heads, first, second] = encodeStatements([
      statement("g1", 1, {
        outcomes: {
          a: outcome({ success: 2, latencyUs: 900 }),
          b: outcome({ failure: 1, failuresInRow: 1, metrics: { cpu: 0.1 } }),
        },
      }),
      statement("g2", 1),
      statement("g3", 1, { outcomes: { a: outcome({ success: 1, failure: 1, latencyUs: 1 }) } }),
      statement("g4", 1, { outcomes: { a: outcome({ success: 1, canceled: 1, latencyUs: 1 }) } }),
    ]);
    expect((JSON.parse(heads as string) as unknown[][]).map((head) => head.slice(6))).toEqual([
      [2, 1],
      [0, 0],
      [1, 1],
      [1, 0],
    ]);
    expect(JSON.parse(first as string)).toEqual(["a", 2, 0, 0, 900, 0, "b", 0, 1, 1, 0, { cpu: 0.1 }]);
    expect(second).toBe("");
  });
});

describe("answers from Redis", () => {
  it("are as many picks as there were wants, null where nobody was left", () => {
    const statements = [
      statement("g1", 1, { wants: wants(3) }),
      statement("g2", 1, { wants: wants(1) }),
      statement("g3", 1),
      statement("g4", 1, { wants: wants(2) }),
    ];
    expect(decodeReplies("42\na" + "a,,b\nr\na\ns", statements)).toEqual({
      version: 42,
      replies: [
        { status: "applied", resync: false, picks: ["a", null, "b"] },
        { status: "applied", resync: true, picks: [null] },
        { status: "applied", resync: false, picks: [] },
        { status: "stale", resync: false, picks: [null, null] },
      ],
    });
  });

  it("give a pool's state without what only Redis needs", () => {
    const { backends } = facts({ a: 3 });
    const stored = { ...backends[0], rank: 0, place: 1 };
    const state = [
      4,
      1.5,
      "healthy",
      "initial",
      17,
      "draining",
      2_500_000,
      { cpu: 0.5 },
      16,
      "status 503",
      2,
      0,
      50,
      true,
    ];
    const text = JSON.stringify({
      version: 3,
      policy: "first",
      panic: true,
      facts: [stored],
      states: [state],
    });
    expect(decodeState("shop", text)).toEqual({
      pool: "shop",
      version: 3,
      policy: "first",
      panic: true,
      backends: [
        {
          ...backends[0],
          inflight: 4,
          effectiveWeight: 1.5,
          health: "healthy",
          reason: "initial",
          sinceMs: 17,
          mode: "draining",
          ready: false,
          ewmaMs: 2.5,
          metrics: { cpu: 0.5 },
          detail: "status 503",
          ejections: 2,
          returnsMs: null,
          probedMs: 16,
          agent: { weightPercent: 50, drain: true },
        },
      ],
    });
  });
});

describe("a configuration on its way to Redis", () => {
  it("numbers backends as configured and by name, and names the zones and whether anybody told slots", () => {
    const [params, texts] = encodeFacts(
      facts({ b: 1, B: 1, "10": 1 }, {}, { b: { zone: "eu", slots: 4 }, B: { zone: "eu" } }),
    );
    const placed = (JSON.parse(texts) as string[]).map((text) => JSON.parse(text));
    expect(placed.map(({ id, rank, place }) => [id, rank, place])).toEqual([
      ["10", 0, 1],
      ["b", 1, 3],
      ["B", 2, 2],
    ]);
    expect(JSON.parse(params)).toMatchObject({ zones: ["eu"], slotted: true, policy: "least-connections" });
    expect(JSON.parse(params)).not.toHaveProperty("backends");
  });
});
