import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { POLICIES, type Policy } from "../config/schema-scheduling.ts";
import { facts } from "./fixtures.ts";
import { BIAS_STEPS, type LoadFacts, score, scoreOfLoad, TICK_MAX } from "./score.ts";

const SEED = 11;
const idle: LoadFacts = { inflight: 0, turns: 0, weight: 1, rank: 0, bias: BIAS_STEPS, slots: 0 };
const criteria = [{ name: "connections", weight: 1, scale: 10 }];
const scoreOf = (policy: Policy, more: Partial<LoadFacts> = {}, tick = 0) =>
  score(facts({}, { policy, criteria }), { ...idle, ...more }, tick);

describe("a score", () => {
  it("is exact: load and tick never run into each other, up to the greatest of both", () => {
    const loads = fc.integer({ min: 0, max: 2 ** 30 }).map((steps) => steps / 8_192);
    fc.assert(
      fc.property(
        loads,
        loads,
        fc.integer({ min: 0, max: TICK_MAX }),
        fc.integer({ min: 0, max: TICK_MAX }),
        (x, y, t, u) => {
          const [a, b] = [scoreOfLoad(x) + t, scoreOfLoad(y) + u];
          expect(Number.isSafeInteger(a)).toBe(true);
          if (scoreOfLoad(x) !== scoreOfLoad(y)) expect(a < b).toBe(scoreOfLoad(x) < scoreOfLoad(y));
          else expect(Math.sign(a - b)).toBe(Math.sign(t - u));
        },
      ),
      { seed: SEED },
    );
  });

  it("keeps loads apart that differ by one request on the heaviest backend", () => {
    for (let n = 0; n < 1_000; n += 1) {
      const [less, more] = [n, n + 1].map((inflight) =>
        scoreOf("least-connections", { inflight, weight: 1_000 }, TICK_MAX),
      );
      expect(more).toBeGreaterThan(less as number);
    }
  });

  it("stays a whole number that can be compared, however absurd the facts", () => {
    const inflight = fc.integer({ min: 0, max: 10_000_000 });
    const weight = fc.integer({ min: 1, max: 1_024_000 }).map((steps) => steps / 1_024);
    const bias = fc.integer({ min: 0, max: 2 ** 40 });
    const turns = fc.integer({ min: 0, max: 2 ** 36 }).map((steps) => steps / 1_024);
    const slots = fc.constantFrom(0, 1, 100_000);
    fc.assert(
      fc.property(
        fc.constantFrom(...POLICIES),
        fc.record({ inflight, weight, bias, turns, slots }),
        (policy, more) => {
          const result = scoreOf(policy, more, TICK_MAX);
          expect(Number.isSafeInteger(result)).toBe(true);
          expect(result).toBeGreaterThanOrEqual(0);
        },
      ),
      { seed: SEED },
    );
  });

  it.each(["least-connections", "least-time", "two-choices", "hash", "geo", "criteria"] as const)(
    "of %s rises with every request in flight and falls with weight",
    (policy) => {
      for (const inflight of [0, 1, 7, 100]) {
        expect(scoreOf(policy, { inflight: inflight + 1 })).toBeGreaterThan(scoreOf(policy, { inflight }));
        if (inflight > 0) {
          expect(scoreOf(policy, { inflight, weight: 2 })).toBeLessThan(scoreOf(policy, { inflight }));
        }
      }
    },
  );

  it("of an idle backend is the same whatever its weight, unless it tells its slots", () => {
    expect(scoreOf("least-connections", { weight: 9 })).toBe(scoreOf("least-connections"));
    const [light, heavy] = [1, 9].map((weight) => scoreOf("least-connections", { weight, slots: 4 }));
    expect(heavy).toBeLessThan(light as number);
  });

  it("is the same up to 3/4 of the slots, and rises from there", () => {
    const at = (inflight: number) => scoreOf("least-connections", { inflight, slots: 8 });
    expect([0, 1, 5].map(at)).toEqual(Array(3).fill(at(0)));
    expect(at(6)).toBeGreaterThan(at(0));
    expect(at(7)).toBeGreaterThan(at(6));
  });

  it("of least-time is in proportion to the time", () => {
    const slow = scoreOf("least-time", { inflight: 3, bias: 2 * BIAS_STEPS });
    expect(slow).toBe(2 * scoreOf("least-time", { inflight: 3 }));
    expect(slow).toBe(scoreOf("least-time", { inflight: 7 }));
  });

  it("of round-robin looks at turns only, of first at the position only", () => {
    expect(scoreOf("round-robin", { turns: 6, weight: 3, inflight: 99, bias: 7, slots: 5 })).toBe(
      scoreOfLoad(2),
    );
    expect(scoreOf("first", { turns: 6, weight: 3, inflight: 99, bias: 7, rank: 4, slots: 5 })).toBe(
      scoreOfLoad(4),
    );
  });

  it("of criteria adds what was learned to the connections, and has none without that criterion", () => {
    expect(scoreOf("criteria", { inflight: 2, bias: BIAS_STEPS / 2 })).toBe(scoreOfLoad(0.25 + 0.5));
    const bare = score(facts({}, { policy: "criteria" }), { ...idle, inflight: 50 }, 0);
    expect(bare).toBe(scoreOfLoad(1));
  });
});
