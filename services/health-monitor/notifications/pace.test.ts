import { describe, expect, it } from "vitest";
import { createGate, retryAfterMs, TO_ONE_AT_ONCE, waitMs } from "./pace.ts";

const NOW_MS = 1_790_000_000_000;

describe("the wait before the next attempt", () => {
  it("grows threefold, up to five minutes", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 20].map((failed) => waitMs(failed, 0, 0.5));
    expect(waits).toEqual([1_000, 3_000, 9_000, 27_000, 81_000, 243_000, 300_000, 300_000]);
  });

  it("is spread by a fifth, and never shorter than what the receiver asks for", () => {
    expect([waitMs(1, 0, 0), waitMs(1, 0, 1)]).toEqual([800, 1_200]);
    expect([waitMs(1, 5_000, 1), waitMs(3, 5_000, 0.5)]).toEqual([5_000, 9_000]);
  });

  it.each([
    [null, 0],
    ["7", 7_000],
    ["0", 1_000],
    ["86400", 600_000],
    [new Date(NOW_MS + 20_000).toUTCString(), 20_000],
    [new Date(NOW_MS - 20_000).toUTCString(), 1_000],
    ["soon", 0],
  ])("takes retry-after %j for %i ms", (value, ms) => {
    expect(retryAfterMs(value, NOW_MS)).toBe(ms);
  });
});

describe("the gate before one webhook", () => {
  let nowMs = 0;
  const gate = () => {
    nowMs = NOW_MS;
    return createGate(
      () => nowMs,
      () => 0,
    );
  };

  it("lets some through at once, the others later", () => {
    const one = gate();
    for (let i = 0; i < TO_ONE_AT_ONCE; i += 1) expect(one.enter(true)).toBe(0);
    expect(one.enter(true)).toBeGreaterThan(0);
    one.left(true);
    expect(one.enter(true)).toBe(0);
  });

  it("lets one at a time through to a receiver that fails", () => {
    const one = gate();
    one.enter(true);
    one.left(false);
    expect(one.enter(true)).toBe(0);
    expect(one.enter(true)).toBeGreaterThan(0);
  });

  it("leaves a receiver alone that goes on failing, longer and longer, but for those that have waited", () => {
    const one = gate();
    const rests: number[] = [];
    for (let i = 0; i < 10; i += 1) {
      expect(one.enter(false)).toBe(0);
      one.left(false);
      const rest = one.enter(true);
      if (rest > 0) rests.push(rest);
      else one.left(false);
    }
    expect(rests.slice(0, 3)).toEqual([1_000, 2_000, 4_000]);
    expect(rests.at(-1)).toBe(30_000);
    nowMs += 30_000;
    expect(one.enter(true)).toBe(0);
  });

  it("is open again with the first that is taken", () => {
    const one = gate();
    for (let i = 0; i < 5; i += 1) {
      one.enter(false);
      one.left(false);
    }
    expect(one.enter(true)).toBeGreaterThan(0);
    one.enter(false);
    one.left(true);
    expect(one.enter(true)).toBe(0);
  });

  it("is closed for as long as the receiver asks for", () => {
    const one = gate();
    one.enter(true);
    one.left(false, 5_000);
    expect(one.enter(true)).toBe(5_000);
  });
});
