import { expect, test } from "vitest";
import { createInterruption, SAME_PRESS_MS } from "./interruption.ts";

function interruption() {
  const time = { nowMs: 1_000 };
  return { time, ...createInterruption(() => time.nowMs) };
}

test("the first Ctrl-C stops in order, a second one at once", () => {
  const { time, signal, force, interrupt } = interruption();
  interrupt();
  expect([signal.aborted, force.aborted]).toEqual([true, false]);
  time.nowMs += SAME_PRESS_MS;
  interrupt();
  expect(force.aborted).toBe(true);
});

test("one Ctrl-C that arrives several times is one", () => {
  const { time, force, interrupt } = interruption();
  interrupt();
  time.nowMs += SAME_PRESS_MS - 1;
  interrupt();
  expect(force.aborted).toBe(false);
});

test("being asked to stop again is no hurry, a Ctrl-C after it is", () => {
  const { time, force, stop, interrupt } = interruption();
  stop();
  time.nowMs += SAME_PRESS_MS;
  stop();
  expect(force.aborted).toBe(false);
  interrupt();
  expect(force.aborted).toBe(true);
});
