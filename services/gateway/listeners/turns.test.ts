import { describe, expect, it } from "vitest";
import { createTurns, sleepBlocking } from "./turns.ts";

/** Connections at these distances, ms; answers how often it slept. */
function arrivals(gapsMs: number[], sleepMs = 0.1): number {
  let nowMs = 0;
  let slept = 0;
  const turn = createTurns(
    () => nowMs,
    () => {
      slept += 1;
      nowMs += sleepMs; // the system may sleep longer than it was told
    },
  );
  for (const gapMs of gapsMs) {
    nowMs += gapMs;
    turn();
  }
  return slept;
}

describe("turns", () => {
  it("are given after each connection of a burst, and after none that comes by itself", () => {
    expect(arrivals(Array(64).fill(0.01))).toBe(64);
    expect(arrivals(Array(64).fill(5))).toBe(0);
  });

  it("take no more than a fiftieth of the time where connections never cease to come", () => {
    const connections = 100_000;
    const slept = arrivals(Array(connections).fill(0.5));
    const sleptMs = slept * 0.1;
    expect(sleptMs / (connections * 0.5)).toBeLessThan(0.021);
    expect(slept).toBeGreaterThan(200);
  });

  it("are given by sleeping for a moment indeed", () => {
    const startMs = performance.now();
    for (let n = 0; n < 20; n += 1) sleepBlocking(0.05);
    expect(performance.now() - startMs).toBeGreaterThan(1);
  });
});
