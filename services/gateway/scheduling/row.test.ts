import { describe, expect, it } from "vitest";
import { createRow } from "./row.ts";

describe("the row of a gateway", () => {
  it("states only what changed, in absolute numbers, and zero for what was released", () => {
    const row = createRow();
    row.took("a");
    row.took("a");
    row.granted("b");
    expect(row.take(false).held).toEqual({ a: 2 });
    row.released("b", "success", 5);
    expect(row.take(false).held).toEqual({ b: 0 });
    expect(row.dirty).toBe(false);
  });

  it("states the whole row when asked to", () => {
    const row = createRow();
    row.granted("a");
    row.granted("b");
    row.took("c");
    expect(row.take(true).held).toEqual({ a: 1, b: 1, c: 1 });
    expect(row.dirty).toBe(false);
  });

  it("states again what it doubts the ledger counts alike", () => {
    const row = createRow();
    row.doubt("a");
    expect(row.dirty).toBe(true);
    expect(row.take(false).held).toEqual({ a: 0 });
  });

  it("adds up outcomes: failures since the last success, and the mean time to first byte of successes", () => {
    const row = createRow();
    for (let i = 0; i < 6; i += 1) row.granted("a");
    row.released("a", "failure", null);
    row.released("a", "success", 10);
    row.released("a", "success", 20);
    row.released("a", "canceled", null);
    row.released("a", "failure", null);
    row.released("a", "failure", null);
    expect(row.take(false).outcomes).toEqual({
      a: { success: 2, failure: 3, canceled: 1, failuresInRow: 2, latencyUs: 15_000 },
    });
    expect(row.take(false).outcomes).toEqual({});
  });
});
