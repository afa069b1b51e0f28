import { expect, test } from "vitest";
import { deathsInRow, RESTART_MAX_MS, RESTART_MIN_MS, restartDelayMs, STABLE_AFTER_MS } from "./back-off.ts";

test("waits the shortest time after a first death, twice as long after each further one, never longer than the longest", () => {
  expect(restartDelayMs(1)).toBe(RESTART_MIN_MS);
  expect(restartDelayMs(2)).toBe(2 * RESTART_MIN_MS);
  expect(restartDelayMs(3)).toBe(4 * RESTART_MIN_MS);
  expect(restartDelayMs(50)).toBe(RESTART_MAX_MS);
  expect(restartDelayMs(5_000)).toBe(RESTART_MAX_MS);
});

test("counts deaths in a row, and begins again after a stable life", () => {
  expect(deathsInRow(0, 10)).toBe(1);
  expect(deathsInRow(4, STABLE_AFTER_MS - 1)).toBe(5);
  expect(deathsInRow(4, STABLE_AFTER_MS)).toBe(1);
});
