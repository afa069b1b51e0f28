import { describe, expect, it } from "vitest";
import { planFaults } from "./plan.ts";

const SEEDS = Array.from({ length: 200 }, (_, i) => i + 1);

describe("the plan of a sequence", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(planFaults(7)).toEqual(planFaults(7));
    expect(new Set(SEEDS.map((seed) => JSON.stringify(planFaults(seed)))).size).toBe(SEEDS.length);
  });

  it("has two to five faults, of different targets, of bounded length", () => {
    for (const seed of SEEDS) {
      const faults = planFaults(seed);
      expect(faults.length).toBeGreaterThanOrEqual(2);
      expect(faults.length).toBeLessThanOrEqual(5);
      expect(new Set(faults.map(({ target }) => target)).size).toBe(faults.length);
      for (const { lastsMs } of faults) {
        expect(lastsMs).toBeGreaterThanOrEqual(200);
        expect(lastsMs).toBeLessThanOrEqual(2_500);
      }
    }
  });

  it("comes to every kind of fault on every role that can have it, to whole roles, and to faults at the same time", () => {
    const all = SEEDS.map(planFaults);
    expect(new Set(all.flat().map(({ role, kind }) => `${kind} ${role}`)).size).toBe(4 + 3 * 5 + 3);
    for (const [role, size] of [
      ["health-monitor", 2],
      ["scheduler", 2],
      ["gateway", 3],
      ["backend", 5],
    ] as const)
      expect(
        all.filter((faults) => faults.filter((one) => one.role === role).length === size).length,
      ).toBeGreaterThan(2);
    const together = all.filter(([first, second]) => {
      if (first === undefined || second === undefined) return false;
      return second.atMs < first.atMs + first.lastsMs;
    });
    expect(together.length).toBeGreaterThan(SEEDS.length / 2);
  });
});
