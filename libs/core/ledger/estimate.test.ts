import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  judge,
  type Learned,
  learn,
  learnMetrics,
  type Neutral,
  noNeutral,
  nothingLearned,
} from "./estimate.ts";
import { facts, outcome } from "./fixtures.ts";
import type { BackendFacts, Outcomes } from "./ledger.ts";
import { BIAS_STEPS } from "./score.ts";

const SEED = 14;
const NOW_MS = 1_700_000_000_000;
const pool = facts({ a: 1 }, { policy: "least-time" });
const backend = pool.backends[0] as BackendFacts;

const took = (success: number, ms: number) => outcome({ success, latencyUs: ms * 1_000 });
const failed = (failure: number) => outcome({ failure, failuresInRow: failure });

/** A pool whose mean is so many ms, of many requests. */
const neutralOf = (ms: number): Neutral =>
  learn(nothingLearned(), noNeutral(), took(1_024, ms), NOW_MS).neutral;

/** What is learned of one backend, while the pool stays as it is. */
const learnt = (neutral: Neutral, reports: Outcomes[], from = nothingLearned()): Learned =>
  reports.reduce((learned, report) => learn(learned, neutral, report, NOW_MS).learned, from);

const slowness = (learned: Learned, neutral: Neutral, afterMs = 0) =>
  judge(pool, backend, learned, neutral, NOW_MS + afterMs) / BIAS_STEPS;

describe("what least-time learns", () => {
  const neutral = neutralOf(10);

  it("is in proportion to the pool's mean", () => {
    expect(slowness(learnt(neutral, [took(500, 20)]), neutral)).toBeCloseTo(2, 1);
    expect(slowness(learnt(neutral, [took(500, 40)]), neutral)).toBeCloseTo(4, 1);
  });

  it("is nothing while nothing was reported, of the backend or of the pool", () => {
    expect(slowness(nothingLearned(), neutral)).toBe(1);
    expect(slowness(nothingLearned(), noNeutral())).toBe(1);
  });

  it("counts only what is beyond doubt: equal backends tie, however their times scatter", () => {
    expect(slowness(learnt(neutral, [took(1, 25)]), neutral)).toBe(1);
    expect(slowness(learnt(neutral, [took(100, 11)]), neutral)).toBe(1);
    expect(slowness(learnt(neutral, [took(100, 9)]), neutral)).toBe(1);
    expect(slowness(learnt(neutral, [took(100, 14)]), neutral)).toBeGreaterThan(1.3);
  });

  it("decays to the mean within 5 s of the last report, and never turns in between", () => {
    const slow = learnt(neutral, [took(100, 160)]);
    let last = slowness(slow, neutral);
    expect(last).toBeGreaterThan(14);
    for (let ms = 250; ms <= 5_000; ms += 250) {
      const now = slowness(slow, neutral, ms);
      expect(now).toBeLessThanOrEqual(last);
      expect(now).toBeGreaterThanOrEqual(1);
      last = now;
    }
    expect(last).toBe(1);
  });

  it("does not outlast a clock that was set back", () => {
    expect(slowness(learnt(neutral, [took(100, 160)]), neutral, -3_600_000)).toBe(1);
  });

  it("charges failures, however fast they are, more than any answer of the usual time", () => {
    expect(slowness(learnt(neutral, [failed(20)]), neutral)).toBeGreaterThan(6);
    const half = learnt(neutral, [took(50, 1), failed(50)]);
    expect(slowness(half, neutral)).toBeGreaterThan(2);
  });

  it("makes nobody fast by failing before the pool's first success", () => {
    const learned = learnt(noNeutral(), [failed(50)]);
    expect(slowness(learned, neutral)).toBeGreaterThanOrEqual(1);
    expect(slowness(learnt(neutral, [took(5, 10)], learned), neutral)).toBeGreaterThanOrEqual(1);
  });

  it("charges one answer at most 16 times the mean: a single hanging request is no verdict", () => {
    const learned = learnt(neutral, [took(99, 10), took(1, 3_600_000)]);
    expect(slowness(learned, neutral)).toBeLessThan(1.3);
  });

  it("says nothing of canceled requests", () => {
    const before = learnt(neutral, [took(9, 30)]);
    expect(learn(before, neutral, outcome({ canceled: 100 }), NOW_MS)).toEqual({ learned: before, neutral });
  });

  it("follows a pool that turns slower as a whole: then nobody is slow", () => {
    let all = { learned: learnt(neutral, [took(100, 10)]), neutral };
    for (let i = 0; i < 200; i += 1) all = learn(all.learned, all.neutral, took(100, 50), NOW_MS);
    expect(slowness(all.learned, all.neutral)).toBe(1);
  });

  it("always: between half and 16 times, state of whole numbers, whatever is reported when", () => {
    const report = fc.record({
      success: fc.nat(5_000),
      failure: fc.nat(5_000),
      latencyUs: fc.integer({ min: 1, max: 3_600_000_000 }),
      afterMs: fc.integer({ min: -10_000, max: 10_000 }),
    });
    fc.assert(
      fc.property(fc.array(report, { maxLength: 30, size: "max" }), (reports) => {
        let all = { learned: nothingLearned(), neutral: noNeutral() };
        let nowMs = NOW_MS;
        for (const { success, failure, latencyUs, afterMs } of reports) {
          nowMs += afterMs;
          const said = outcome({ success, failure, latencyUs: success > 0 ? latencyUs : 0 });
          all = learn(all.learned, all.neutral, said, nowMs);
          const { latencyNs, samples, errorPpm } = all.learned;
          for (const n of [latencyNs, samples, errorPpm, all.neutral.latencyNs]) {
            expect(Number.isSafeInteger(n)).toBe(true);
            expect(n).toBeGreaterThanOrEqual(0);
          }
          expect(errorPpm).toBeLessThanOrEqual(1_000_000);
          const bias = judge(pool, backend, all.learned, all.neutral, nowMs);
          expect(bias).toBeGreaterThanOrEqual(BIAS_STEPS / 2);
          expect(bias).toBeLessThanOrEqual(16 * BIAS_STEPS);
          expect(Number.isInteger(bias)).toBe(true);
        }
      }),
      { seed: SEED },
    );
  });
});

describe("what criteria reckon with", () => {
  const valued = (
    name: string,
    learned: Learned,
    neutral: Neutral,
    { scale = 1, weight = 1, cost = 0 } = {},
  ) => {
    const of = facts({ a: 1 }, { policy: "criteria", criteria: [{ name, scale, weight }] }, { a: { cost } });
    return judge(of, of.backends[0] as BackendFacts, learned, neutral, NOW_MS) / BIAS_STEPS;
  };
  const reported = (value: number) => learnMetrics(nothingLearned(), noNeutral(), { cpu: value }, NOW_MS);

  it("is a value by its scale, times its weight", () => {
    const { learned, neutral } = reported(30);
    expect(valued("cpu", learned, neutral, { scale: 60, weight: 3 })).toBe(1.5);
    expect(valued("cost", nothingLearned(), noNeutral(), { cost: 2, scale: 8 })).toBe(0.25);
  });

  it("is never below 0 nor above 100 times the scale", () => {
    for (const [value, expected] of [
      [-1e12, 0],
      [1e12, 100],
    ] as const) {
      const { learned, neutral } = reported(value);
      expect(valued("cpu", learned, neutral)).toBe(expected);
    }
  });

  it("is the mean of what all reported for who reported nothing, and 0 where nobody did", () => {
    const once = reported(4);
    const { neutral } = learnMetrics(nothingLearned(), once.neutral, { cpu: 8 }, NOW_MS);
    expect(valued("cpu", nothingLearned(), neutral)).toBe(6);
    expect(valued("cpu", nothingLearned(), noNeutral())).toBe(0);
  });

  it("is the share of failures for errors, doubted while it rests on little", () => {
    const neutral = neutralOf(10);
    expect(valued("errors", learnt(neutral, [failed(1)]), neutral)).toBe(0.5);
    const tenth = outcome({ success: 900, failure: 100, latencyUs: 10_000 });
    expect(valued("errors", learnt(neutral, [tenth]), neutral)).toBeCloseTo(0.1, 2);
    expect(valued("errors", nothingLearned(), neutral)).toBe(0);
  });

  it("leaves connections and distance to the pick", () => {
    const { learned, neutral } = reported(4);
    expect(valued("connections", learned, neutral)).toBe(0);
    expect(valued("distance", learned, neutral)).toBe(0);
  });
});
