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

  it("states again a pick that it did not take", () => {
    const row = createRow();
    row.picked("a");
    row.declined("a");
    expect(row.dirty).toBe(true);
    expect(row.counted).toEqual(new Map([["a", 1]]));
    expect(row.take(false).held).toEqual({ a: 0 });
    expect(row.counted).toEqual(new Map());
  });

  it("knows what the ledger counts for it, apart from what it holds by now", () => {
    const row = createRow();
    row.picked("a");
    row.picked("a");
    row.granted("a");
    row.granted("a");
    row.took("b");
    row.released("a", "success", 1);
    expect(row.held).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
    expect(row.counted).toEqual(new Map([["a", 2]]));
    row.take(true);
    expect(row.counted).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
  });

  it("counts the picks it took, whoever decided, of the backends that are known", () => {
    const row = createRow();
    row.picked("a");
    row.granted("a");
    row.released("a", "success", 1);
    row.took("a");
    row.took("b");
    row.picked("c");
    row.declined("c");
    expect(Object.fromEntries(row.picks)).toEqual({ a: 2, b: 1 });
    row.keep((backend) => backend === "a");
    expect(Object.fromEntries(row.picks)).toEqual({ a: 2 });
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

  it("states with the next statement what a backend last said of its load, and is in no hurry about it", () => {
    const row = createRow();
    row.granted("a");
    row.reported("a", { cpu_utilization: 0.2, eps: 1 });
    row.reported("a", { cpu_utilization: 0.3 });
    expect(row.dirty).toBe(false);
    expect(row.take(false)).toEqual({
      held: {},
      outcomes: {
        a: {
          success: 0,
          failure: 0,
          canceled: 0,
          failuresInRow: 0,
          latencyUs: 0,
          metrics: { cpu_utilization: 0.3 },
        },
      },
    });
    expect(row.take(false).outcomes).toEqual({});
    row.reported("a", { cpu_utilization: 0.4 });
    row.released("a", "success", 5);
    expect(row.take(false).outcomes.a).toMatchObject({ success: 1, metrics: { cpu_utilization: 0.4 } });
  });
});
