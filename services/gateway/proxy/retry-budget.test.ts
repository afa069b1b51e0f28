import { describe, expect, it } from "vitest";
import { createRetryBudget } from "./retry-budget.ts";

function budgetAt(startMs = 0) {
  let nowMs = startMs;
  const budget = createRetryBudget(() => nowMs);
  const spendAll = () => {
    let spent = 0;
    while (spent < 100_000 && budget.spend()) spent += 1;
    return spent;
  };
  return { budget, spendAll, pass: (ms: number) => (nowMs += ms) };
}

describe("retry budget", () => {
  it("a pool at rest holds what ten seconds earn it", () => {
    const { spendAll } = budgetAt();
    expect(spendAll()).toBe(100);
    expect(spendAll()).toBe(0);
  });

  it("an empty budget earns ten retries a second", () => {
    const { spendAll, pass } = budgetAt();
    spendAll();
    let spent = 0;
    for (let i = 0; i < 100; i += 1) {
      pass(100);
      spent += spendAll();
    }
    expect(spent).toBeGreaterThanOrEqual(98);
    expect(spent).toBeLessThanOrEqual(100);
  });

  it("an empty budget earns a retry for every five requests", () => {
    const { budget, spendAll } = budgetAt();
    spendAll();
    for (let i = 0; i < 1_000; i += 1) budget.earn();
    expect(spendAll()).toBeGreaterThanOrEqual(199);
    expect(spendAll()).toBe(0);
  });

  it("what is not spent fades, so it is bounded by the traffic of the last seconds", () => {
    const { budget, spendAll, pass } = budgetAt();
    for (let ms = 0; ms < 60_000; ms += 1) {
      pass(1);
      budget.earn();
    }
    const spent = spendAll(); // 100 + 20 % of 1,000/s over ten seconds
    expect(spent).toBeGreaterThan(2_050);
    expect(spent).toBeLessThan(2_110);
  });

  it("an hour without traffic leaves no more than rest", () => {
    const { budget, spendAll, pass } = budgetAt(5_000_000);
    for (let i = 0; i < 10_000; i += 1) budget.earn();
    pass(3_600_000);
    expect(spendAll()).toBe(100);
  });
});
