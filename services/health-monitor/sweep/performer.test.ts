import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { describe, expect, it } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import { createLimit } from "./limit.ts";
import { createPerformer } from "./performer.ts";
import { shardsOf } from "./shards.ts";

const [shard] = shardsOf(
  resolvePool({
    name: "shop",
    backends: [{ id: "shop-1", url: "http://127.0.0.1:1" }],
    health: { protocol: "tcp", intervalMs: 2_000 },
  }),
);

function performer(observe: Ledger["observe"]) {
  const registry = createMetrics();
  let done = 0;
  const perform = createPerformer({
    ledger: { observe },
    limit: createLimit(1),
    agentLimit: createLimit(1),
    metrics: createMonitorMetrics(registry),
    log: createLog("silent", { role: "test", id: "test" }),
    shardOf: (id) => (id === shard?.id ? shard : undefined),
    done: async () => {
      done += 1;
    },
  });
  return {
    perform,
    done: () => done,
    metric: (name: string) => registry.registry.getSingleMetricAsString(name),
  };
}

describe("a job", () => {
  it("has its shard swept, and that noted", async () => {
    const { perform, done } = performer(async () => []);
    await perform("shop/0-of-1", Date.now());
    expect(done()).toBe(1);
  });

  it("is left when it is later than its interval", async () => {
    const { perform, done, metric } = performer(async () => []);
    await perform("shop/0-of-1", Date.now() - 2_500);
    expect(done()).toBe(0);
    expect(await metric("evenkeel_monitor_sweeps_skipped_total")).toContain('{pool="shop"} 1');
  });

  it("is left when its shard is of another configuration", async () => {
    const { perform, done } = performer(async () => []);
    await perform("shop/0-of-2", Date.now());
    expect(done()).toBe(0);
  });

  it("is left while the sweep before it is still under way", async () => {
    let observed = 0;
    let release = () => {};
    const { perform, done } = performer(async () => {
      observed += 1;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return [];
    });
    const first = perform("shop/0-of-1", Date.now());
    await perform("shop/0-of-1", Date.now());
    expect(done()).toBe(0);
    while (observed === 0) await new Promise(setImmediate);
    release();
    await first;
    expect(observed).toBe(1);
    expect(done()).toBe(1);
  });

  it("whose findings do not reach the ledger is counted as failed, and the next one is swept", async () => {
    let reachable = false;
    const { perform, done, metric } = performer(async () => {
      if (!reachable) throw new Error("redis is away");
      return [];
    });
    await perform("shop/0-of-1", Date.now());
    expect(done()).toBe(0);
    expect(await metric("evenkeel_monitor_sweeps_failed_total")).toContain('{pool="shop"} 1');
    reachable = true;
    await perform("shop/0-of-1", Date.now());
    expect(done()).toBe(1);
  });
});
