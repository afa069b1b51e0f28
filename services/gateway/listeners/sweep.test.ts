import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TICK_MS, type Timed, tickAfter, unwatch, watch } from "./sweep.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

const timed = (ms: number): Timed & { fired: number } => ({
  fired: 0,
  deadline: ms === 0 ? 0 : tickAfter(ms),
  onDeadline() {
    this.fired += 1;
    if (this.deadline !== 0) throw new Error("the deadline is still set");
  },
});

describe("a deadline", () => {
  it.each([1, TICK_MS, 10 * TICK_MS, 1_001])(
    "of %i ms is never noticed early, and little late, once",
    (ms) => {
      const one = timed(ms);
      watch(one);
      vi.advanceTimersByTime(ms - 1);
      expect(one.fired).toBe(0);
      vi.advanceTimersByTime(2 * TICK_MS + 1);
      expect(one.fired).toBe(1);
      vi.advanceTimersByTime(60_000);
      expect(one.fired).toBe(1);
      unwatch(one);
    },
  );

  it("may be put off, and taken back", () => {
    const one = timed(1_000);
    watch(one);
    vi.advanceTimersByTime(900);
    one.deadline = tickAfter(1_000);
    vi.advanceTimersByTime(900);
    expect(one.fired).toBe(0);
    one.deadline = 0;
    vi.advanceTimersByTime(60_000);
    expect(one.fired).toBe(0);
    unwatch(one);
  });

  it("takes no timer where nothing is watched", () => {
    const [one, other] = [timed(0), timed(0)];
    watch(one);
    watch(other);
    expect(vi.getTimerCount()).toBe(1);
    unwatch(one);
    expect(vi.getTimerCount()).toBe(1);
    unwatch(other);
    expect(vi.getTimerCount()).toBe(0);
  });
});
