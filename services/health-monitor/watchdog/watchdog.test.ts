import { describe, expect, it, vi } from "vitest";
import { quietMs, standsStill } from "./standstill.ts";
import { startWatchdog, type WatchdogOptions } from "./watchdog.ts";

const LIMIT_MS = 5_000;

describe("the decision that the cluster stands still", () => {
  const at = (nowMs: number, expectedSinceMs: number, sweptAgoMs: number | null) =>
    standsStill({ nowMs, expectedSinceMs, sweptAgoMs }, LIMIT_MS);

  it("is no while anyone sweeps, however long this monitor has got no job", () => {
    expect(at(1_000_000, 0, 900)).toBe(false);
    expect(at(1_000_000, 0, LIMIT_MS)).toBe(false);
  });

  it("is yes when the newest sweep of all is older than the limit", () => {
    expect(at(1_000_000, 0, LIMIT_MS + 1)).toBe(true);
  });

  it("is yes when there never was one, once it could be expected for longer than the limit", () => {
    expect(at(10_000, 5_000, null)).toBe(false);
    expect(at(10_001, 5_000, null)).toBe(true);
  });

  it("grants the whole limit again after Redis came back or a restart, however old the newest sweep", () => {
    expect(at(10_000, 9_000, 60_000)).toBe(false);
    expect(at(14_001, 9_000, 64_001)).toBe(true);
  });

  it("knows how long it has been quiet", () => {
    expect(quietMs({ nowMs: 9_000, expectedSinceMs: 2_000, sweptAgoMs: null })).toBe(7_000);
    expect(quietMs({ nowMs: 9_000, expectedSinceMs: 2_000, sweptAgoMs: 300 })).toBe(300);
  });
});

describe("the watchdog", () => {
  /** Runs one check per step of 1 s, with what Redis says then. */
  async function watch(
    seconds: number,
    world: {
      limitMs?: (second: number) => number | null;
      sweptAgoMs: (second: number) => number | null | Error;
    },
  ): Promise<number[]> {
    vi.useFakeTimers();
    try {
      let second = 0;
      const rebuiltAt: number[] = [];
      const options: WatchdogOptions = {
        clock: () => second * 1_000,
        limitMs: () => (world.limitMs ? world.limitMs(second) : LIMIT_MS),
        sweptAgoMs: async () => {
          const answer = world.sweptAgoMs(second);
          if (answer instanceof Error) throw answer;
          return answer;
        },
        rebuild: async () => {
          rebuiltAt.push(second);
        },
        checkIntervalMs: 1_000,
      };
      const watchdog = startWatchdog(options);
      for (second = 1; second <= seconds; second += 1) await vi.advanceTimersByTimeAsync(1_000);
      await watchdog.stop();
      return rebuiltAt;
    } finally {
      vi.useRealTimers();
    }
  }

  const away = new Error("redis is away");

  it("does nothing while sweeps come", async () => {
    expect(await watch(30, { sweptAgoMs: () => 800 })).toEqual([]);
  });

  it("rebuilds when they stop, and again only after another whole limit", async () => {
    const stoppedAt = 10;
    const sweptAgoMs = (second: number) => Math.max(0, second - stoppedAt) * 1_000;
    expect(await watch(24, { sweptAgoMs })).toEqual([16, 22]);
  });

  it("does nothing while Redis does not answer, and grants the limit when it is back", async () => {
    const sweptAgoMs = (second: number) => (second < 20 ? away : null);
    expect(await watch(19, { sweptAgoMs })).toEqual([]);
    expect(await watch(26, { sweptAgoMs })).toEqual([26]);
  });

  it("does nothing while there is nothing to sweep", async () => {
    expect(await watch(30, { limitMs: () => null, sweptAgoMs: () => null })).toEqual([]);
  });

  it("grants a new configuration its time", async () => {
    const limitMs = (second: number) => (second < 10 ? 60_000 : LIMIT_MS);
    const sweptAgoMs = (second: number) => second * 1_000;
    expect(await watch(15, { limitMs, sweptAgoMs })).toEqual([]);
    expect(await watch(16, { limitMs, sweptAgoMs })).toEqual([16]);
  });
});
