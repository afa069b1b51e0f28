import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import { createRounds, LEAD_MS, ROUND_MS, roundOf } from "./rounds.ts";
import type { Watched } from "./watched.ts";

const START_MS = 1_800_000_000_000;
const JOB_DUE_MS = START_MS - LEAD_MS;
const SHARD: Watched[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: JOB_DUE_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

function rounds() {
  const metrics = createMetrics();
  const leases: [number, number][] = [];
  let taken = 0;
  const made = createRounds({
    shardOf: (id) => (id === "0-of-1" ? SHARD : undefined),
    lease: (_backends, fromMs, untilMs) => leases.push([fromMs, untilMs]),
    taken: () => {
      taken += 1;
    },
    metrics: createMonitorMetrics(metrics),
  });
  const missed = async () => {
    const text = await metrics.registry.getSingleMetricAsString("evenkeel_monitor_rounds_missed_total");
    return Number(text.split(" ").at(-1));
  };
  return { ...made, leases, taken: () => taken, missed };
}

describe("a job", () => {
  it("leases its shard for the round on the grid that follows, however late it comes", () => {
    const { perform, leases, taken } = rounds();
    perform("0-of-1", JOB_DUE_MS);
    vi.setSystemTime(START_MS + ROUND_MS - 1);
    perform("0-of-1", JOB_DUE_MS);
    expect(leases).toEqual([
      [START_MS, START_MS + ROUND_MS],
      [START_MS, START_MS + ROUND_MS],
    ]);
    expect(taken()).toBe(2);
  });

  it("that comes when its round is over is counted, and makes good what was missed lately", async () => {
    const { perform, leases, taken, missed } = rounds();
    vi.setSystemTime(START_MS + ROUND_MS);
    perform("0-of-1", JOB_DUE_MS);
    expect(leases).toEqual([[START_MS + ROUND_MS - 1_000, START_MS + 2 * ROUND_MS]]);
    expect(taken()).toBe(1);
    expect(await missed()).toBe(1);
  });

  it("is left when its round is of another time", () => {
    const { perform, leases, taken } = rounds();
    perform("0-of-1", JOB_DUE_MS + 60_000);
    perform("0-of-1", Number.NaN);
    expect(leases).toEqual([]);
    expect(taken()).toBe(0);
  });

  it("is left when its shard is of another configuration", () => {
    const { perform, leases, taken } = rounds();
    perform("0-of-2", JOB_DUE_MS);
    expect(leases).toEqual([]);
    expect(taken()).toBe(0);
  });

  it("that was lost is made good until the round of the next one", () => {
    for (const lateMs of [0, LEAD_MS - 1, LEAD_MS, LEAD_MS + 1, ROUND_MS - 1]) {
      const { adopt, leases } = rounds();
      vi.setSystemTime(START_MS + lateMs);
      adopt("0-of-1");
      const [[fromMs, untilMs] = [0, 0]] = leases;
      expect(fromMs).toBe(START_MS + lateMs - 1_000);
      // BullMQ makes the next job for the first time on its grid that is later than now.
      const nextDueMs = untilMs - LEAD_MS;
      expect(nextDueMs).toBeGreaterThan(START_MS + lateMs);
      expect(nextDueMs - ROUND_MS).toBeLessThanOrEqual(START_MS + lateMs);
      expect(roundOf(nextDueMs)).toBe(untilMs);
    }
  });
});
