import { describe, expect, it } from "vitest";
import type { PoolView } from "../scheduling/scheduling.ts";
import { addViews } from "./add-views.ts";

const view = (more: Partial<PoolView>): PoolView => ({
  pool: "p",
  version: 1,
  deciding: "scheduler",
  held: {},
  picks: {},
  failover: null,
  eligible: [],
  ...more,
});

describe("the views of several processes", () => {
  it("add up what each holds, and say what the one says that knows the latest", () => {
    const own = [view({ held: { a: 1, b: 2 }, picks: { a: 7 }, eligible: ["a", "b"] }), view({ pool: "q" })];
    const others = [
      view({ held: { b: 3, c: 4 }, picks: { a: 1, c: 9 }, version: 2, eligible: ["c"] }),
      view({ pool: "gone" }),
    ];
    expect(addViews(own, others)).toEqual([
      view({ held: { a: 1, b: 5, c: 4 }, picks: { a: 8, c: 9 }, version: 2, eligible: ["c"] }),
      view({ pool: "q" }),
    ]);
    expect(own[0]?.held).toEqual({ a: 1, b: 2 });
  });

  it("say that the gateway decides by itself where any of its processes does", () => {
    expect(addViews([view({})], [view({ deciding: "fallback" })])[0]?.deciding).toBe("fallback");
    expect(addViews([view({ deciding: "fallback" })], [view({})])[0]?.deciding).toBe("fallback");
  });
});
