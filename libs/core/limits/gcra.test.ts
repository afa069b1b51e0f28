import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Limit, limitOf, TOLERANCE_US, take } from "./gcra.ts";

const SECOND_US = 1_000_000;

const limits = fc
  .record({
    requests: fc.integer({ min: 1, max: 1_000 }),
    perMs: fc.integer({ min: 1, max: 60_000 }),
    burst: fc.integer({ min: 1, max: 200 }),
  })
  .map(limitOf);

/** Pauses between requests, from none to far longer than a bucket takes to fill. */
const pauses = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50_000 }), fc.integer({ min: 0, max: 5 * SECOND_US })),
  { minLength: 1, maxLength: 200 },
);

function play(limit: Limit, gaps: readonly number[]) {
  let kept: number | null = null;
  let now = 0;
  return gaps.map((gap) => {
    now += gap;
    const taken = take(kept, now, limit);
    kept = taken.arrivalUs;
    return { now, ...taken };
  });
}

describe("a rate limit", () => {
  it("lets a burst pass after a pause, and then one request per interval", () => {
    const limit = limitOf({ requests: 10, perMs: 1_000, burst: 3 });
    const at = [0, 0, 0, 0, 99_999, 1, 1].map((gap) => gap);
    expect(play(limit, at).map(({ allowed }) => allowed)).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
      false,
    ]);
  });

  it("tells how many more would pass, and how long until the next one would", () => {
    const limit = limitOf({ requests: 10, perMs: 1_000, burst: 2 });
    const [first, second, third, fourth] = play(limit, [0, 0, 0, 40_000]);
    expect(first).toMatchObject({ allowed: true, remaining: 1, waitUs: 0 });
    expect(second).toMatchObject({ allowed: true, remaining: 0, waitUs: 100_000 });
    expect(third).toMatchObject({ allowed: false, remaining: 0, waitUs: 100_000 });
    expect(fourth).toMatchObject({ allowed: false, remaining: 0, waitUs: 60_000 });
  });

  it("never lets more than burst + rate × t pass in any time t", () => {
    fc.assert(
      fc.property(limits, pauses, (limit, gaps) => {
        const passed = play(limit, gaps).filter(({ allowed }) => allowed);
        for (let first = 0; first < passed.length; first += 1) {
          for (let last = first; last < passed.length; last += 1) {
            const t = (passed[last]?.now ?? 0) - (passed[first]?.now ?? 0);
            const most = limit.burst + (t + TOLERANCE_US) / limit.intervalUs;
            expect(last - first + 1).toBeLessThanOrEqual(most + 1e-6);
          }
        }
      }),
      { numRuns: 200, seed: 11 },
    );
  });

  it("does not forgive its tolerance again and again", () => {
    const limit = limitOf({ requests: 1_000, perMs: 1, burst: 1 });
    const halves = play(limit, new Array(1_000).fill(0.5));
    expect(halves.filter(({ allowed }) => allowed).length).toBeLessThanOrEqual(501);
  });

  it("lets the next one pass exactly when it said, not a µs earlier than its tolerance", () => {
    fc.assert(
      fc.property(limits, pauses, (limit, gaps) => {
        const last = play(limit, gaps).at(-1);
        if (!last || last.allowed) return;
        expect(take(last.arrivalUs, last.now + last.waitUs, limit).allowed).toBe(true);
        const early = last.now + last.waitUs - 2;
        if (early > last.now) expect(take(last.arrivalUs, early, limit).allowed).toBe(false);
      }),
      { numRuns: 500, seed: 12 },
    );
  });

  it("lets as many pass at once as it said remain", () => {
    fc.assert(
      fc.property(limits, pauses, (limit, gaps) => {
        const last = play(limit, gaps).at(-1);
        if (!last) return;
        let kept = last.arrivalUs;
        let passed = 0;
        while (passed <= limit.burst) {
          const taken = take(kept, last.now, limit);
          if (!taken.allowed) break;
          kept = taken.arrivalUs;
          passed += 1;
        }
        expect(passed).toBe(last.remaining);
      }),
      { numRuns: 300, seed: 13 },
    );
  });

  it("locks nobody out for the time of an earlier, more generous limit", () => {
    const hourly = limitOf({ requests: 100, perMs: 3_600_000, burst: 100 });
    const used = play(hourly, new Array(100).fill(0)).at(-1);
    const now = limitOf({ requests: 10, perMs: 1_000, burst: 10 });
    const taken = take(used?.arrivalUs ?? null, 0, now);
    expect(taken.allowed).toBe(false);
    expect(taken.waitUs).toBeLessThanOrEqual(100_001);
  });
});
