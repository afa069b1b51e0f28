import type { Finding, Observation } from "@evenkeel/core/ledger/ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import { watch } from "../test-support/watch.ts";
import { createFindings } from "./findings.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ids = Array.from({ length: 10 }, (_, i) => `shop-${i}`);
const nothing: Observation = { transitions: [], doubtful: [] };

function telling() {
  const metrics = createMetrics();
  const told: (readonly Finding[])[] = [];
  const answers: ((answer: Observation | null | Error) => void)[] = [];
  const judged: Record<string, boolean> = {};
  const backends = watch(ids);
  const findings = createFindings({
    ledger: {
      observe(_pool, all) {
        told.push(all);
        return new Promise((resolve, reject) => {
          answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
        });
      },
    },
    metrics: createMonitorMetrics(metrics),
    log: createLog("silent", { role: "test", id: "test" }),
    judged: (doubts) => {
      for (const { watched, doubtful } of doubts) judged[watched.id] = doubtful;
    },
  });
  const add = (i: number, ok: boolean, urgent: boolean) => {
    const watched = backends[i];
    if (!watched) throw new Error("there are ten");
    findings.add(watched, { backend: watched.id, url: watched.url, ok, dueMs: Date.now() }, urgent);
    return watched;
  };
  const counted = async (name: string) => {
    const text = await metrics.registry.getSingleMetricAsString(`evenkeel_monitor_${name}_total`);
    return Number(/\{pool="shop".*\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  const answer = async (given: Observation | null | Error = nothing) => {
    answers.shift()?.(given);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { findings, add, told, answer, judged, counted };
}

describe("findings", () => {
  it("that change nothing wait for others, but not for long", async () => {
    const { add, told } = telling();
    add(0, true, false);
    add(1, true, false);
    await vi.advanceTimersByTimeAsync(99);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told.map((all) => all.map(({ backend }) => backend))).toEqual([["shop-0", "shop-1"]]);
  });

  it("that may change something are told at once, with all that waits", () => {
    const { add, told } = telling();
    add(0, true, false);
    add(1, false, true);
    expect(told.map(({ length }) => length)).toEqual([2]);
  });

  it("go into the next statement while one is under way", async () => {
    const { add, told, answer } = telling();
    for (let i = 0; i < 4; i += 1) add(i, false, true);
    expect(told.map(({ length }) => length)).toEqual([1]);
    await answer();
    expect(told.map(({ length }) => length)).toEqual([1, 3]);
    add(5, true, false);
    await answer();
    expect(told).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(100);
    expect(told.map(({ length }) => length)).toEqual([1, 3, 1]);
  });

  it("are dropped and counted when the ledger cannot be reached, and the next ones are told", async () => {
    const { add, told, answer, counted } = telling();
    add(0, false, true);
    add(1, false, true);
    await answer(new Error("redis is away"));
    expect(await counted("findings_dropped")).toBe(1);
    expect(await counted("observe_failures")).toBe(1);
    expect(told.map((all) => all.map(({ backend }) => backend))).toEqual([["shop-0"], ["shop-1"]]);
  });

  it("are dropped when they are old: this process hung", async () => {
    const { add, told, answer, counted } = telling();
    add(0, false, true);
    add(1, false, true);
    await vi.advanceTimersByTimeAsync(2_000);
    add(2, false, true);
    await answer();
    expect(told.map((all) => all.map(({ backend }) => backend))).toEqual([["shop-0"], ["shop-2"]]);
    expect(await counted("findings_dropped")).toBe(1);
  });

  it("of a pool that the ledger does not know yet are no failure", async () => {
    const { add, answer, counted } = telling();
    add(0, false, true);
    await answer(null);
    expect(await counted("observe_failures")).toBe(0);
  });

  it("tell who is in doubt, and what is settled where nobody doubts", async () => {
    const { add, answer, judged } = telling();
    const first = add(0, false, true);
    await answer({ transitions: [], doubtful: ["shop-0"] });
    expect(judged).toEqual({ "shop-0": true });
    expect(first.settled).toBe(true);
    add(0, false, true);
    await answer();
    expect(judged).toEqual({ "shop-0": false });
    expect(first.settled).toBe(false);
  });

  it("count the changes that they caused", async () => {
    const { add, answer, counted } = telling();
    add(0, false, true);
    const change = {
      backend: "shop-0",
      from: "healthy",
      to: "unhealthy",
      reason: "probe",
      detail: "timeout",
    } as const;
    await answer({ transitions: [change], doubtful: [] });
    expect(await counted("transitions")).toBe(1);
  });

  it("are all told by a flush", async () => {
    const { findings, add, told, answer } = telling();
    add(0, true, false);
    const flushed = findings.flush();
    await answer();
    await flushed;
    expect(told).toHaveLength(1);
  });
});
