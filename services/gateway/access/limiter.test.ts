import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LimitAnswer } from "./limit-function.ts";
import { createLimiter, FAILURES_MAX, LIMIT_TIMEOUT_MS, type LimitVerdict, PAUSE_MS } from "./limiter.ts";
import { watchOutage } from "./outage.ts";

const LIMIT = { intervalUs: 100_000, burst: 5 };
const FREE: LimitAnswer = [3, 0];

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const lines: string[] = [];
  const log = { warn: () => lines.push("lost"), info: () => lines.push("back") };
  const calls: { key: string; answer(answer: LimitAnswer): void; fail(): void }[] = [];
  const state = { ready: true, uncounted: 0 };
  const limiter = createLimiter({
    redis: {
      ready: () => state.ready,
      call: (key) =>
        new Promise((resolve, reject) => {
          calls.push({ key, answer: resolve, fail: () => reject(new Error("broken")) });
        }),
    },
    clock: () => performance.now(),
    outage: watchOutage(log as never, {}, "rate limit"),
    onUnavailable: () => {
      state.uncounted += 1;
    },
  });
  const told: LimitVerdict[] = [];
  const take = (key = "a", limit = LIMIT) => {
    const verdict = limiter.take(key, limit, (later) => told.push(later));
    if (verdict !== undefined) told.push(verdict);
  };
  /** Calls fail until no more are made. */
  const breakDown = async () => {
    for (let i = 0; i < FAILURES_MAX; i += 1) {
      take();
      calls.at(-1)?.fail();
      await vi.advanceTimersByTimeAsync(0);
    }
  };
  return { limiter, take, told, calls, state, lines, breakDown };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the limiter", () => {
  it("tells what Redis answers", async () => {
    const { take, told, calls } = setUp();
    take("a");
    take("b");
    expect(told).toEqual([]);
    calls[0]?.answer(FREE);
    calls[1]?.answer([-1, 70_000]);
    await pass(0);
    expect(told).toEqual([
      { allowed: true, remaining: 3, waitUs: 0 },
      { allowed: false, remaining: 0, waitUs: 70_000 },
    ]);
  });

  it("refuses by itself what Redis has refused, until it may pass again", async () => {
    const { take, told, calls } = setUp();
    take();
    calls[0]?.answer([-1, 70_000]);
    await pass(20);
    for (let i = 0; i < 1_000; i += 1) take();
    expect(calls).toHaveLength(1);
    expect(told.at(-1)).toEqual({ allowed: false, remaining: 0, waitUs: 50_000 });
    await pass(50);
    take();
    expect(calls).toHaveLength(2);
  });

  it("asks Redis again when the limit is another one", async () => {
    const { take, calls } = setUp();
    take();
    calls[0]?.answer([-1, 70_000]);
    await pass(1);
    take("a", { ...LIMIT, burst: 50 });
    expect(calls).toHaveLength(2);
  });

  it("lets a request pass uncounted when Redis takes too long, whatever it says later", async () => {
    const { take, told, calls, state } = setUp();
    take();
    await pass(LIMIT_TIMEOUT_MS - 1);
    expect(told).toEqual([]);
    await pass(2);
    expect(told).toEqual([null]);
    expect(state.uncounted).toBe(1);
    calls[0]?.answer(FREE);
    await pass(0);
    expect(told).toEqual([null]);
  });

  it("lets requests pass at once after some failures in a row, and says so once", async () => {
    const { take, told, calls, state, lines, breakDown } = setUp();
    await breakDown();
    const made = calls.length;
    for (let i = 0; i < 100; i += 1) take(`key ${i}`);
    expect(calls).toHaveLength(made);
    expect(told.slice(-100)).toEqual(new Array(100).fill(null));
    expect(state.uncounted).toBe(100 + FAILURES_MAX);
    expect(lines).toEqual(["lost"]);
  });

  it("tries with one request from time to time, and counts again when Redis is back", async () => {
    const { take, told, calls, lines, breakDown } = setUp();
    await breakDown();
    for (let round = 0; round < 3; round += 1) {
      await pass(PAUSE_MS);
      const made = calls.length;
      take();
      take();
      expect(calls.length - made).toBe(1);
      if (round < 2) calls.at(-1)?.fail();
      await pass(0);
    }
    calls.at(-1)?.answer(FREE);
    await pass(0);
    expect(told.at(-1)).toMatchObject({ allowed: true });
    take();
    calls.at(-1)?.answer([2, 0]);
    await pass(0);
    expect(told.at(-1)).toMatchObject({ remaining: 2 });
    expect(lines).toEqual(["lost", "back"]);
  });

  it("does not take a Redis that always answers too late for a healthy one", async () => {
    const { take, calls } = setUp();
    for (let i = 0; i < FAILURES_MAX; i += 1) {
      take();
      await pass(LIMIT_TIMEOUT_MS + 2);
      calls.at(-1)?.answer(FREE);
      await pass(0);
    }
    const made = calls.length;
    take();
    expect(calls).toHaveLength(made);
  });

  it("bounds what passes meanwhile by what this process alone has let pass", async () => {
    const { take, told, calls, state } = setUp();
    for (let i = 0; i < 100; i += 1) take("flood");
    expect(calls).toHaveLength(100);
    await pass(LIMIT_TIMEOUT_MS + 2);
    const passed = () => told.filter((verdict) => verdict === null).length;
    expect([told.length, passed(), state.uncounted]).toEqual([100, LIMIT.burst, LIMIT.burst]);
    expect(told.at(-1)).toMatchObject({ allowed: false, remaining: 0, waitUs: expect.any(Number) });
    await pass(LIMIT.intervalUs / 1_000);
    for (let i = 0; i < 100; i += 1) take("flood");
    await pass(LIMIT_TIMEOUT_MS + 2);
    expect(passed()).toBe(LIMIT.burst + 1);
    take("other");
    await pass(LIMIT_TIMEOUT_MS + 2);
    expect(told.at(-1)).toBeNull();
  });

  it("does not call while there is no connection", async () => {
    const { take, told, calls, state, lines } = setUp();
    state.ready = false;
    take();
    take();
    expect(calls).toHaveLength(0);
    expect(told).toEqual([null, null]);
    expect(lines).toEqual(["lost"]);
    state.ready = true;
    take();
    calls[0]?.answer(FREE);
    await pass(0);
    expect(lines).toEqual(["lost", "back"]);
  });
});
