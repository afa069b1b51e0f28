import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type HealthParameters,
  type HealthState,
  initialHealth,
  mended,
  observeProbe,
  observeTime,
  observeTraffic,
} from "./state.ts";
import type { FailureWindow } from "./window.ts";

const START_MS = 1_700_000_000_000;

const parameters = fc
  .record({
    rise: fc.integer({ min: 1, max: 4 }),
    fall: fc.integer({ min: 1, max: 4 }),
    failures: fc.integer({ min: 1, max: 4 }),
    holdMs: fc.integer({ min: 100, max: 20_000 }),
    longer: fc.integer({ min: 0, max: 100_000 }),
    failurePercent: fc.constantFrom(0, 30, 100),
    windowMs: fc.constantFrom(100, 10_000),
    minRequests: fc.constantFrom(1, 5),
  })
  .map(({ longer, ...p }): HealthParameters => ({ ...p, maxHoldMs: p.holdMs + longer }));

const event = fc.oneof(
  fc.record({ kind: fc.constant("probe" as const), ok: fc.boolean() }),
  fc.record({
    kind: fc.constant("traffic" as const),
    ...{ success: fc.nat(3), failure: fc.nat(3), inRow: fc.boolean(), mayLeave: fc.boolean() },
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: -50_000, max: 50_000 }) }),
);

interface Scene {
  state: HealthState;
  window: FailureWindow | null;
  nowMs: number;
}

function goThrough(p: HealthParameters, events: (typeof event extends fc.Arbitrary<infer T> ? T : never)[]) {
  let scene: Scene = { state: initialHealth("healthy", p, START_MS), window: null, nowMs: START_MS };
  for (const e of events) {
    const { state, window, nowMs } = scene;
    if (e.kind === "wait") {
      const laterMs = nowMs + e.ms;
      scene = { state: observeTime(mended(state, p, laterMs), p, laterMs), window, nowMs: laterMs };
    } else if (e.kind === "probe") {
      const next = observeProbe(state, e.ok, null, p, nowMs);
      scene = { state: next, window: next.health === state.health ? window : null, nowMs };
    } else {
      const failuresInRow = e.inRow || e.success === 0 ? e.failure : 0;
      scene = {
        ...observeTraffic(state, window, { ...e, failuresInRow }, p, () => e.mayLeave, nowMs),
        nowMs,
      };
    }
  }
  return scene;
}

const histories = fc.tuple(parameters, fc.array(event, { maxLength: 60, size: "max" }));
const seed = 20_261_122;

describe("a backend's health, whatever happened before,", () => {
  it("returns unproven when nobody sees it failing for at most maxHoldMs", () => {
    fc.assert(
      fc.property(histories, ([p, events]) => {
        const { state, nowMs } = goThrough(p, events);
        expect(observeTime(state, p, nowMs + p.maxHoldMs).health).toBe("healthy");
      }),
      { seed, numRuns: 1_000 },
    );
  });

  it("returns by good probes, at the latest with the first one that is due when it may and `rise` were good", () => {
    fc.assert(
      fc.property(histories, ([p, events]) => {
        let { state, nowMs } = goThrough(p, events);
        const intervalMs = Math.ceil(p.maxHoldMs / 50);
        const mayMs = Math.max(state.returnsMs, nowMs + (p.rise - 1) * intervalMs);
        while (nowMs < mayMs) {
          state = observeProbe(state, true, null, p, nowMs);
          nowMs += intervalMs;
        }
        expect(observeProbe(state, true, null, p, nowMs).health).toBe("healthy");
      }),
      { seed, numRuns: 1_000 },
    );
  });

  it("keeps its bounds", () => {
    fc.assert(
      fc.property(histories, ([p, events]) => {
        const { state: s, window, nowMs } = goThrough(p, events);
        expect(s.ejections).toBeLessThanOrEqual(Math.ceil(p.maxHoldMs / p.holdMs));
        expect(s.untilMs).toBeLessThanOrEqual(nowMs + p.maxHoldMs);
        expect(s.returnsMs).toBeLessThanOrEqual(Math.max(0, s.untilMs));
        expect(s.strikes).toBeLessThan(p.failures);
        if (s.health === "unhealthy") expect([s.strikes, window]).toEqual([0, null]);
        else expect([s.untilMs, s.returnsMs]).toEqual([0, 0]);
      }),
      { seed, numRuns: 1_000 },
    );
  });
});

describe("a good probe of a backend that nothing speaks against", () => {
  it("leaves the very same state, so that nothing needs to be written", () => {
    const p = fc.sample(parameters, { seed, numRuns: 1 })[0] as HealthParameters;
    const state = initialHealth("healthy", p, START_MS);
    expect(observeProbe(state, true, "status 200", p, START_MS + 1)).toBe(state);
  });
});
