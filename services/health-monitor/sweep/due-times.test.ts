import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DueTimes, dueTimesOf, nextDueMs } from "./due-times.ts";

const EPOCH_MS = 1_800_000_000_000;

const paces = fc
  .record({
    intervalMs: fc.integer({ min: 100, max: 60_000 }),
    fastPercent: fc.integer({ min: 5, max: 100 }),
    jitterPercent: fc.integer({ min: 0, max: 45 }),
    key: fc.string({ maxLength: 30 }),
    afterMs: fc.integer({ min: EPOCH_MS, max: EPOCH_MS + 10_000_000 }),
  })
  .map(({ intervalMs, fastPercent, jitterPercent, key, afterMs }) => {
    const fastIntervalMs = Math.max(50, Math.min(intervalMs, Math.floor((fastPercent / 100) * intervalMs)));
    return { times: dueTimesOf(key, { intervalMs, fastIntervalMs, jitterPercent }), afterMs };
  });

function series(times: DueTimes, afterMs: number, doubtful: boolean, count = 20): number[] {
  const found = [nextDueMs(times, afterMs, doubtful)];
  while (found.length < count) found.push(nextDueMs(times, found.at(-1) as number, doubtful));
  return found;
}

describe("due times", () => {
  it("rise, and are the same whenever they are asked for", () => {
    fc.assert(
      fc.property(paces, fc.boolean(), ({ times, afterMs }, doubtful) => {
        const all = series(times, afterMs, doubtful);
        for (const [i, dueMs] of all.entries()) {
          const before = all[i - 1] ?? afterMs;
          expect(dueMs).toBeGreaterThan(before);
          expect(Number.isInteger(dueMs)).toBe(true);
          const between = before + Math.floor((dueMs - before) / 2);
          if (between < dueMs) expect(nextDueMs(times, between, doubtful)).toBe(dueMs);
        }
      }),
    );
  });

  it("are an interval apart, give or take the jitter of both", () => {
    fc.assert(
      fc.property(paces, ({ times, afterMs }) => {
        const all = series(times, afterMs, false);
        for (let i = 1; i < all.length; i += 1) {
          const gapMs = (all[i] as number) - (all[i - 1] as number);
          expect(Math.abs(gapMs - times.intervalMs)).toBeLessThanOrEqual(2 * times.jitterMs + 1);
        }
      }),
    );
  });

  it("in doubt hold all regular ones, and gaps from half of the fast interval up to one and a half", () => {
    fc.assert(
      fc.property(paces, ({ times, afterMs }) => {
        const fast = series(times, afterMs, true, 40);
        const last = fast.at(-1) as number;
        const regular = series(times, afterMs, false, 40).filter((dueMs) => dueMs <= last);
        expect(fast).toEqual(expect.arrayContaining(regular));
        for (let i = 1; i < fast.length; i += 1) {
          const gapMs = (fast[i] as number) - (fast[i - 1] as number);
          expect(gapMs).toBeGreaterThanOrEqual(Math.min(times.fastIntervalMs / 2, gapsOf(times).least));
          expect(gapMs).toBeLessThanOrEqual(1.5 * times.fastIntervalMs);
        }
      }),
    );
  });

  it("of many backends are spread evenly over the interval", () => {
    const slots = new Array<number>(10).fill(0);
    for (let i = 0; i < 5_000; i += 1) {
      const pace = { intervalMs: 1_000, fastIntervalMs: 500, jitterPercent: 0 };
      const dueMs = nextDueMs(dueTimesOf(`shop/backend-${i}`, pace), EPOCH_MS, false);
      const slot = Math.floor((dueMs - EPOCH_MS - 1) / 100);
      slots[slot] = (slots[slot] ?? 0) + 1;
    }
    expect(Math.min(...slots)).toBeGreaterThan(400);
    expect(Math.max(...slots)).toBeLessThan(600);
  });
});

/** Two regular ones may be nearer than that by their jitter. */
const gapsOf = ({ intervalMs, jitterMs }: DueTimes) => ({ least: intervalMs - 2 * jitterMs - 1 });
