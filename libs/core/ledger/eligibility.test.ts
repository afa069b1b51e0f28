import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Candidate, eligibility, roundWeight } from "./eligibility.ts";

const SEED = 12;
const candidate = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  weight: 1,
  priority: 0,
  health: "healthy",
  mode: "active",
  ...more,
});

/** A tier of so many backends, so many of them healthy. */
const tier = (priority: number, of: number, healthy: number, weight = 1) =>
  Array.from({ length: of }, (_, i) =>
    candidate(`${priority}-${i}`, { priority, weight, health: i < healthy ? "healthy" : "unhealthy" }),
  );

const shareOf = (weights: ReadonlyMap<string, number>, priority: number) => {
  const sum = (all: [string, number][]) => all.reduce((total, [, weight]) => total + weight, 0);
  const entries = [...weights];
  return sum(entries.filter(([id]) => id.startsWith(`${priority}-`))) / sum(entries);
};

const anyCandidates = fc
  .array(
    fc.record({
      weight: fc.integer({ min: 1, max: 1_000 }),
      priority: fc.integer({ min: 0, max: 3 }),
      health: fc.constantFrom("healthy" as const, "unhealthy" as const),
      mode: fc.constantFrom("active" as const, "active" as const, "draining" as const, "disabled" as const),
    }),
    { maxLength: 30, size: "max" },
  )
  .map((all) => all.map((more, i) => candidate(`${more.priority}-${i}`, more)));

describe("eligibility", () => {
  it("leaves the weights of one healthy tier as they are", () => {
    const { panic, weights } = eligibility(
      [candidate("a", { weight: 3 }), candidate("b", { weight: 5 })],
      50,
    );
    expect(panic).toBe(false);
    expect([...weights]).toEqual([
      ["a", 3],
      ["b", 5],
    ]);
  });

  it.each([
    { healthy: 18, of: 25, share: 1 },
    { healthy: 5, of: 7, share: 1 },
    { healthy: 7, of: 10, share: 0.98 },
    { healthy: 4, of: 8, share: 0.7 },
    { healthy: 2, of: 8, share: 0.35 },
    { healthy: 0, of: 8, share: 0 },
  ])("leaves tier 0 $share of the load with $healthy of $of healthy", ({ healthy, of, share }) => {
    const { weights } = eligibility([...tier(0, of, healthy), ...tier(1, 10, 10)], 50);
    expect(shareOf(weights, 0)).toBeCloseTo(share, 2);
  });

  it("goes by the number of backends, and gives a tier its share however heavy it is", () => {
    const { weights } = eligibility([...tier(0, 8, 4), ...tier(1, 2, 2, 1_000)], 50);
    expect(shareOf(weights, 0)).toBeCloseTo(0.7, 3);
  });

  it("shares in proportion where the tiers together cannot carry everything", () => {
    const { weights, panic } = eligibility([...tier(0, 10, 1), ...tier(1, 10, 2), ...tier(2, 10, 1)], 10);
    expect(panic).toBe(false);
    expect([0, 1, 2].map((p) => shareOf(weights, p))).toEqual([
      expect.closeTo(0.25, 2),
      expect.closeTo(0.5, 2),
      expect.closeTo(0.25, 2),
    ]);
  });

  it("does not panic while the tiers together can carry the load, however few are healthy", () => {
    expect(eligibility([...tier(0, 100, 0), ...tier(1, 1, 1)], 50).panic).toBe(false);
    expect(eligibility([...tier(0, 10, 8)], 100).panic).toBe(false);
  });

  it("panics below the threshold, and never at 0", () => {
    expect(eligibility(tier(0, 10, 5), 50).panic).toBe(false);
    expect(eligibility(tier(0, 10, 4), 50)).toMatchObject({ panic: true });
    expect(eligibility(tier(0, 10, 4), 50).weights.size).toBe(10);
    expect(eligibility(tier(0, 10, 0), 0)).toEqual({ panic: false, weights: new Map() });
    expect(eligibility(tier(0, 10, 0), 1).panic).toBe(true);
  });

  it("has nobody where there is nobody", () => {
    expect(eligibility([], 50)).toEqual({ panic: false, weights: new Map() });
    expect(eligibility([candidate("a", { mode: "draining" })], 50)).toEqual({
      panic: false,
      weights: new Map(),
    });
  });

  it("counts only active ones, in the threshold as well as in the tiers", () => {
    const off = tier(0, 10, 10).map((c) => ({ ...c, mode: "disabled" as const }));
    const { panic, weights } = eligibility([...off, candidate("on")], 50);
    expect(panic).toBe(false);
    expect([...weights.keys()]).toEqual(["on"]);
  });

  it("always: only active ones, unhealthy ones only in panic, exact weights, somebody if anybody is ready", () => {
    fc.assert(
      fc.property(anyCandidates, fc.integer({ min: 0, max: 100 }), (all, panicPercent) => {
        const { panic, weights } = eligibility(all, panicPercent);
        const byId = new Map(all.map((c) => [c.id, c]));
        for (const [id, weight] of weights) {
          const { mode, health } = byId.get(id) as Candidate;
          expect(mode).toBe("active");
          if (!panic) expect(health).toBe("healthy");
          expect(weight).toBeGreaterThan(0);
          expect(Number.isInteger(weight * 1_024)).toBe(true);
        }
        const ready = all.some(({ mode, health }) => mode === "active" && health === "healthy");
        if (ready) expect(weights.size).toBeGreaterThan(0);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("does not depend on the order in which backends are looked at", () => {
    fc.assert(
      fc.property(anyCandidates, (all) => {
        const forwards = eligibility(all, 50);
        const backwards = eligibility([...all].reverse(), 50);
        expect(backwards.panic).toBe(forwards.panic);
        expect(new Map([...backwards.weights].sort())).toEqual(new Map([...forwards.weights].sort()));
      }),
      { seed: SEED },
    );
  });
});

it("rounds weights to 1/1024, never to nothing", () => {
  expect(roundWeight(3)).toBe(3);
  expect(roundWeight(0.3)).toBe(307 / 1_024);
  expect(roundWeight(1e-9)).toBe(1 / 1_024);
});
