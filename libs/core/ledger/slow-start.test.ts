import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { paceOf, ramped } from "./slow-start.ts";

const SEED = 13;
const usual = { slowStartMs: 30_000, slowStartPercent: 10 };

describe("the weight of a starting backend", () => {
  it("is the least share until time has passed it, then grows with time, and ends whole", () => {
    const at = (ms: number) => ramped(1_024, 1_000_000, 1_000_000 + ms, usual);
    expect([0, 3_000, 6_000, 15_000, 30_000, 99_000].map(at)).toEqual(
      [102, 102, 205, 512, 1_024, 1_024].map((w) => expect.closeTo(w, 0)),
    );
  });

  it("is never less than the least share, also by a clock that was set back", () => {
    expect(ramped(10, 1_000_000, 0, usual)).toBe(1);
  });

  it("never falls, never exceeds the whole, and is a multiple of 1/1024", () => {
    const ms = fc.integer({ min: -10_000, max: 60_000 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), ms, ms, (weight, x, y) => {
        const [early, late] = [Math.min(x, y), Math.max(x, y)].map((at) => ramped(weight, 0, at, usual)) as [
          number,
          number,
        ];
        expect(late).toBeGreaterThanOrEqual(early);
        expect(late).toBeLessThanOrEqual(weight);
        expect(early).toBeGreaterThan(0);
        expect(Number.isInteger(early * 1_024)).toBe(true);
      }),
      { seed: SEED },
    );
  });
});

describe("the pace", () => {
  it("lets a starting backend have at most twice its share", () => {
    const weight = fc.integer({ min: 1, max: 1_024 }).map((steps) => steps / 1_024);
    fc.assert(
      fc.property(weight, fc.integer({ min: 0, max: 10_000 }), (own, others) => {
        const pace = paceOf(own, own + others);
        expect(1 / pace).toBeLessThanOrEqual((2 * own) / (own + others));
        if (pace > 1) expect(1 / (pace - 1)).toBeGreaterThan((2 * own) / (own + others));
      }),
      { seed: SEED },
    );
  });

  it("is every pick for one that makes up half of its pool", () => {
    expect(paceOf(1, 2)).toBe(1);
    expect(paceOf(1, 1)).toBe(1);
  });
});
