import type { Finding } from "@evenkeel/core/ledger/ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import type { ProbeResult } from "../probes/attempt.ts";
import { watch } from "../test-support/watch.ts";
import { nextDueMs } from "./due-times.ts";
import { createPacer } from "./pacer.ts";
import type { Watched } from "./watched.ts";

const START_MS = 1_800_000_000_000;
const good: ProbeResult = { ok: true, latencyMs: 1, reason: "fine" };
const bad: ProbeResult = { ok: false, latencyMs: 1, reason: "timeout" };

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS - 100 });
});
afterEach(() => {
  vi.useRealTimers();
});

function pacer(more: { probesAtOnce?: number } = {}) {
  const metrics = createMetrics();
  const reports: { id: string; finding: Finding; urgent: boolean; atMs: number }[] = [];
  const made = createPacer({
    metrics: createMonitorMetrics(metrics),
    log: createLog("silent", { role: "test", id: "test" }),
    report: ({ id }, finding, urgent) => reports.push({ id, finding, urgent, atMs: Date.now() }),
    ...more,
  });
  const skipped = async (reason: string) => {
    const text = await metrics.registry.getSingleMetricAsString("evenkeel_monitor_probes_skipped_total");
    const line = text.split("\n").find((one) => one.includes(`reason="${reason}"`));
    return Number(line?.split(" ").at(-1) ?? 0);
  };
  return { ...made, reports, skipped };
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `shop-${i}`);
const dueIn = ({ times }: Watched, fromMs: number) => nextDueMs(times, fromMs - 1, false);

describe("the pacer", () => {
  it("starts every probe when it is due, within its lease and not beyond", async () => {
    const { lease, reports } = pacer();
    const all = watch(ids(50));
    lease(all, START_MS, START_MS + 500);
    await vi.advanceTimersByTimeAsync(5_000);
    const expected = all.filter((one) => dueIn(one, START_MS) < START_MS + 500);
    expect(expected.length).toBeGreaterThan(10);
    expect(reports.map(({ id }) => id).toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
    for (const { finding, atMs } of reports) expect(atMs).toBe(finding.dueMs);
  });

  it("goes on without a gap or a repetition from lease to lease, also when one is given twice", async () => {
    const { lease, reports } = pacer();
    const [one] = watch(["shop-1"], { health: { intervalMs: 200, timeoutMs: 100 } });
    if (!one) throw new Error("there is one");
    for (let i = 0; i < 4; i += 1) {
      lease([one], START_MS + 500 * i, START_MS + 500 * (i + 1));
      lease([one], START_MS + 500 * i, START_MS + 500 * (i + 1));
      await vi.advanceTimersByTimeAsync(500);
    }
    await vi.advanceTimersByTimeAsync(1_000);
    const firstMs = dueIn(one, START_MS);
    expect(reports.map(({ finding }) => finding.dueMs)).toEqual(
      Array.from({ length: 10 }, (_, k) => firstMs + 200 * k),
    );
  });

  it("makes good what a late lease has missed, once", async () => {
    const { lease, reports } = pacer();
    const all = watch(ids(50));
    vi.setSystemTime(START_MS + 400);
    lease(all, START_MS, START_MS + 500);
    await vi.advanceTimersByTimeAsync(1_000);
    const expected = all.filter((one) => dueIn(one, START_MS) < START_MS + 500);
    expect(reports).toHaveLength(expected.length);
    expect(reports.filter(({ atMs }) => atMs <= START_MS + 401).length).toBeGreaterThan(expected.length / 2);
  });

  it("holds no probe up for another that hangs", async () => {
    let asked = 0;
    const { lease, reports } = pacer();
    const all = watch(ids(20), {
      probe: () => {
        asked += 1;
        return asked % 2 ? new Promise(() => {}) : Promise.resolve(good);
      },
    });
    lease(all, START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(asked).toBe(20);
    expect(reports.map(({ finding, atMs }) => atMs - (finding.dueMs ?? 0))).toEqual(Array(10).fill(0));
  });

  it("counts what it cannot start, and does not queue it", async () => {
    const release: (() => void)[] = [];
    const { lease, reports, skipped } = pacer({ probesAtOnce: 3 });
    const all = watch(ids(20), {
      probe: () => new Promise((resolve) => release.push(() => resolve(good))),
    });
    lease(all, START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(release).toHaveLength(3);
    expect(await skipped("busy")).toBe(17);
    for (const one of release) one();
    await vi.advanceTimersByTimeAsync(1_200);
    expect(reports).toHaveLength(3);
    lease(all, START_MS + 3_000, START_MS + 4_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(release).toHaveLength(6);
  });

  it("ends what it has begun before it starts much more, when a great deal is due at once", async () => {
    let open = 0;
    let most = 0;
    const { lease, reports } = pacer();
    const all = watch(ids(300), {
      probe: () =>
        new Promise((resolve) => {
          open += 1;
          most = Math.max(most, open);
          setImmediate(() => {
            open -= 1;
            resolve(good);
          });
        }),
    });
    vi.setSystemTime(START_MS + 990);
    lease(all, START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reports.length).toBe(300);
    expect(most).toBeLessThan(100);
  });

  it("makes no probe that is far too late: this process hung", async () => {
    const { lease, reports, skipped } = pacer();
    lease(watch(ids(20)), START_MS, START_MS + 1_000);
    vi.setSystemTime(START_MS + 30_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(reports).toEqual([]);
    expect(await skipped("late")).toBe(20);
  });

  it("does not believe a probe that took far longer than its limit: this process hung", async () => {
    const { lease, reports, skipped } = pacer();
    const probe = async () => ({ ...bad, latencyMs: 5_000 });
    lease(watch(["shop-1"], { probe }), START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(reports).toEqual([]);
    expect(await skipped("held up")).toBe(1);
  });

  it("forgets a backend that left the configuration", async () => {
    const { lease, reports } = pacer();
    const [one] = watch(["shop-1"]);
    if (!one) throw new Error("there is one");
    lease([one], START_MS, START_MS + 1_000);
    one.gone = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(reports).toEqual([]);
  });

  it("is finished when its leases are over and its probes are answered", async () => {
    let release = () => {};
    const { lease, reports, finish } = pacer();
    const probe = () => new Promise<ProbeResult>((resolve) => (release = () => resolve(good)));
    const [one] = watch(["shop-1"], { probe });
    if (!one) throw new Error("there is one");
    lease([one], START_MS, START_MS + 1_000);
    let finished = false;
    const finishing = finish(10_000).then(() => (finished = true));
    await vi.advanceTimersByTimeAsync(dueIn(one, START_MS) - Date.now() + 10);
    expect(finished).toBe(false);
    release();
    await finishing;
    expect(reports).toHaveLength(1);
  });

  it("is finished at its deadline, however much hangs", async () => {
    const { lease, finish } = pacer();
    lease(watch(ids(5), { probe: () => new Promise(() => {}) }), START_MS, START_MS + 1_000);
    const finishing = finish(3_000);
    await vi.advanceTimersByTimeAsync(3_000);
    await finishing;
  });
});

describe("the pacer in doubt", () => {
  const fast = { health: { intervalMs: 10_000, timeoutMs: 500, fastIntervalMs: 100 } };

  it("probes fast after a finding that may change something, also a while without a lease", async () => {
    let result = good;
    const { lease, doubt, reports } = pacer();
    const [one] = watch(["shop-1"], { ...fast, probe: async () => result });
    if (!one) throw new Error("there is one");
    const dueMs = dueIn(one, START_MS);
    result = bad;
    lease([one], START_MS, dueMs + 1);
    await vi.advanceTimersByTimeAsync(dueMs - Date.now() + 450);
    expect(reports.map(({ finding }) => (finding.dueMs ?? 0) - dueMs)).toEqual([0, 100, 200, 300, 400]);
    expect(reports.every(({ urgent }) => urgent)).toBe(true);

    one.settled = false;
    doubt(one, false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(reports).toHaveLength(5);
  });

  it("stops by itself when nobody renews the lease", async () => {
    const { lease, reports } = pacer();
    const [one] = watch(["shop-1"], { ...fast, probe: async () => bad });
    if (!one) throw new Error("there is one");
    const dueMs = dueIn(one, START_MS);
    lease([one], START_MS, dueMs + 1);
    await vi.advanceTimersByTimeAsync(dueMs - Date.now() + 60_000);
    expect(reports.length).toBeGreaterThan(5);
    expect(reports.length).toBeLessThan(15);
  });

  it("that another monitor has raised takes effect in the middle of a lease", async () => {
    const { lease, doubt, reports } = pacer();
    const [one] = watch(["shop-1"], fast);
    if (!one) throw new Error("there is one");
    lease([one], START_MS, START_MS + 500);
    await vi.advanceTimersByTimeAsync(200);
    const before = reports.length;
    doubt(one, true);
    await vi.advanceTimersByTimeAsync(300);
    expect(reports.length - before).toBeGreaterThanOrEqual(3);
  });
});

describe("the pacer and agents", () => {
  const told = { metrics: { cpu: 0.5 }, wish: { weightPercent: 50, drain: false }, fault: null };

  it("hands on what the agent says with a good finding", async () => {
    const { lease, reports } = pacer();
    lease(watch(["shop-1"], { ask: async () => told }), START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(reports[0]?.finding).toMatchObject({ ok: true, metrics: { cpu: 0.5 }, agent: told.wish });
  });

  it("waits for no agent with a bad one", async () => {
    const { lease, reports } = pacer();
    const all = watch(["shop-1"], { ask: () => new Promise(() => {}), probe: async () => bad });
    lease(all, START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(reports[0]?.finding).toMatchObject({ ok: false, detail: "timeout" });
  });

  it("holds no agent's fault against its backend", async () => {
    const { lease, reports } = pacer();
    const faulty = { metrics: {}, wish: null, fault: "not JSON" };
    lease(watch(["shop-1"], { ask: async () => faulty }), START_MS, START_MS + 1_000);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(reports[0]?.finding).toEqual({
      ...{ backend: "shop-1", url: "http://127.0.0.1:1", ok: true, detail: "fine" },
      dueMs: expect.any(Number),
    });
  });
});
