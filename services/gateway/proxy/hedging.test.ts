import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { createHedge, createQuantile, HEDGE_QUANTILE } from "./hedging.ts";

/** The least of them that so large a part does not exceed. */
function exactQuantile(samples: readonly number[], quantile: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] as number;
}

const BUCKET = 2 ** (1 / 8);

describe("a quantile of a stream", () => {
  it("is not known before 100 observations", () => {
    const times = createQuantile(0.95);
    for (let i = 0; i < 99; i += 1) {
      times.observe(5);
      expect(times.estimate()).toBeNull();
    }
    times.observe(5);
    expect(times.estimate()).toBeGreaterThanOrEqual(5);
  });

  it("is never below the exact one, and at most a bucket above it", () => {
    const sample = fc.double({ min: 0.2, max: 100_000, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 100, maxLength: 100 }),
        fc.constantFrom(0.5, 0.9, 0.95, 0.99),
        (samples, quantile) => {
          const times = createQuantile(quantile);
          for (const ms of samples) times.observe(ms);
          const exact = exactQuantile(samples, quantile);
          const estimate = times.estimate() as number;
          expect(estimate).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
          expect(estimate).toBeLessThanOrEqual(exact * BUCKET * (1 + 1e-9));
        },
      ),
    );
  });

  it("follows a long stream of random times within 15 %", () => {
    const random = seeded(5);
    const times = createQuantile(0.95);
    for (let i = 0; i < 20_000; i += 1) times.observe(-Math.log(1 - random()) * 20);
    const exact = -Math.log(0.05) * 20;
    expect(Math.abs((times.estimate() as number) / exact - 1)).toBeLessThan(0.15);
  });

  it("forgets: some thousand requests later it says how it is now, slower or faster", () => {
    const times = createQuantile(0.95);
    const after = (ms: number, observations: number) => {
      for (let i = 0; i < observations; i += 1) times.observe(ms);
      return times.estimate() as number;
    };
    expect(after(10, 20_000)).toBeLessThan(10 * BUCKET);
    expect(after(200, 400)).toBeGreaterThan(200);
    expect(after(10, 8_000)).toBeLessThan(10 * BUCKET);
  });

  it("takes whatever it is told, and answers a number of bounds that are known", () => {
    const odd = fc.oneof(
      fc.double(),
      fc.constantFrom(Number.NaN, -1, 0, Number.POSITIVE_INFINITY, Number.MIN_VALUE, Number.MAX_VALUE),
    );
    fc.assert(
      fc.property(fc.array(odd, { minLength: 100, maxLength: 1_200, size: "max" }), (samples) => {
        const times = createQuantile(0.95);
        for (const ms of samples) times.observe(ms);
        expect(times.estimate()).toBeGreaterThan(0);
        expect(times.estimate()).toBeLessThanOrEqual(2 ** 20);
      }),
      { numRuns: 50 },
    );
  });
});

describe("hedging", () => {
  const usual = { budgetPercent: 5, quantile: HEDGE_QUANTILE };

  it("waits as long as all but a twentieth of the pool's requests take, at least a millisecond, and whole ones", () => {
    const hedge = createHedge(usual);
    expect(hedge.delayMs()).toBeNull();
    for (let i = 0; i < 1_000; i += 1) hedge.observe(i % 20 === 19 ? 500 : 40);
    expect(hedge.delayMs()).toBeGreaterThanOrEqual(40);
    expect(hedge.delayMs()).toBeLessThanOrEqual(44);
    expect(Number.isInteger(hedge.delayMs())).toBe(true);
    const fast = createHedge(usual);
    for (let i = 0; i < 1_000; i += 1) fast.observe(0.2);
    expect(fast.delayMs()).toBe(1);
  });

  it("never spends more than its part of the requests, and always what it has earned since the last, whatever the order", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 5, 20, 100),
        fc.array(fc.constantFrom("request", "request", "hedge"), { maxLength: 2_000, size: "max" }),
        (budgetPercent, events) => {
          const hedge = createHedge({ ...usual, budgetPercent });
          const earnsOne = 100 / budgetPercent;
          let [requests, hedges, since] = [0, 0, 0];
          for (const event of events) {
            if (event === "request") {
              requests += 1;
              since += 1;
              hedge.delayMs();
            } else if (hedge.spend()) {
              hedges += 1;
              since = 0;
            } else expect(since).toBeLessThanOrEqual(earnsOne);
            expect(hedges).toBeLessThanOrEqual(requests / earnsOne + 1e-6);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("saves up no more than ten", () => {
    const hedge = createHedge(usual);
    for (let i = 0; i < 100_000; i += 1) hedge.delayMs();
    let spent = 0;
    while (hedge.spend()) spent += 1;
    expect(spent).toBe(10);
  });

  it("is off with a budget of nothing", () => {
    const hedge = createHedge({ ...usual, budgetPercent: 0 });
    for (let i = 0; i < 1_000; i += 1) hedge.delayMs();
    expect(hedge.spend()).toBe(false);
  });

  /** Requests one by one through pools of which each attempt takes a random time; answers the longest tenth of a percent. */
  function run(hedge: ReturnType<typeof createHedge> | null, timeOf: (random: () => number) => number) {
    const random = seeded(21);
    const taken: number[] = [];
    let hedges = 0;
    for (let i = 0; i < 40_000; i += 1) {
      const delayMs = hedge?.delayMs() ?? null;
      const first = timeOf(random);
      let ms = first;
      let observed = first;
      if (hedge && delayMs !== null && first > delayMs && hedge.spend()) {
        hedges += 1;
        const second = timeOf(random);
        if (delayMs + second < first) [ms, observed] = [delayMs + second, second];
      }
      hedge?.observe(observed);
      taken.push(ms);
    }
    return {
      p999: exactQuantile(taken.slice(5_000), 0.999),
      part: hedges / taken.length,
      delayMs: hedge?.delayMs(),
    };
  }

  it("cuts off a tail of stragglers with a few percent more requests", () => {
    const stragglers = (random: () => number) => (random() < 0.03 ? 900 : 20 + 10 * random());
    const without = run(null, stragglers);
    const { p999, part } = run(createHedge(usual), stragglers);
    expect(without.p999).toBe(900);
    expect(p999).toBeLessThan(100);
    expect(part).toBeGreaterThan(0.02);
    expect(part).toBeLessThanOrEqual(0.05);
  });

  it("leaves the tail as it is where more than the budget are slow", () => {
    const stragglers = (random: () => number) => (random() < 0.04 ? 900 : 20 + 10 * random());
    const { p999, part } = run(createHedge({ ...usual, budgetPercent: 1 }), stragglers);
    expect(p999).toBeGreaterThanOrEqual(900);
    expect(part).toBeLessThanOrEqual(0.01);
  });

  it("does not feed on itself: what it gives up still counts as slow, so the delay stays where it was", () => {
    const spread = (random: () => number) => -Math.log(1 - random()) * 20;
    const exact = -Math.log(0.05) * 20;
    const { delayMs, part } = run(createHedge({ ...usual, budgetPercent: 100 }), spread);
    expect(delayMs as number).toBeGreaterThan(exact * 0.85);
    expect(part).toBeLessThan(0.07);
  });

  it("stops where all of a pool becomes slow, within its budget", () => {
    let slow = false;
    const { part } = run(createHedge(usual), (random) => (slow ? 300 : 20) + random());
    expect(part).toBeLessThan(0.05);
    const hedge = createHedge(usual);
    for (let i = 0; i < 2_000; i += 1) {
      hedge.delayMs();
      hedge.observe(20);
    }
    slow = true;
    let hedges = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const delayMs = hedge.delayMs() as number;
      if (300 > delayMs && hedge.spend()) hedges += 1;
      hedge.observe(300);
    }
    expect(hedges).toBeLessThanOrEqual(25);
  });
});
