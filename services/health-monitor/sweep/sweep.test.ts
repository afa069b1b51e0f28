import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { Finding, Transition } from "@evenkeel/core/ledger/ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import { createLimit } from "./limit.ts";
import { shardsOf } from "./shards.ts";
import { sweep } from "./sweep.ts";

const server = createServer((request, response) => {
  response.statusCode = request.url === "/healthz" ? 200 : 404;
  response.end();
});
let good: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  good = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const shardWith = (backends: { id: string; url: string }[]) => {
  const [shard] = shardsOf(
    resolvePool({ name: "shop", backends, health: { protocol: "http", path: "/healthz" } }),
  );
  if (!shard) throw new Error("so few backends are one shard");
  return shard;
};

function recorder(answer: Transition[] | null) {
  const observed: { pool: string; findings: readonly Finding[] }[] = [];
  const registry = createMetrics();
  return {
    observed,
    metric: (name: string) => registry.registry.getSingleMetricAsString(name),
    context: {
      ledger: {
        observe: async (pool: string, findings: readonly Finding[]) => {
          observed.push({ pool, findings });
          return answer;
        },
      },
      limit: createLimit(2),
      agentLimit: createLimit(1),
      metrics: createMonitorMetrics(registry),
      log: createLog("silent", { role: "test", id: "test" }),
    },
  };
}

describe("a sweep", () => {
  it("tells the ledger all findings of the shard at once", async () => {
    const { context, observed } = recorder([]);
    const backends = [
      { id: "shop-1", url: good },
      { id: "shop-2", url: "http://127.0.0.1:1" },
      { id: "shop-3", url: good },
    ];
    await sweep(shardWith(backends), context);
    expect(observed).toEqual([
      {
        pool: "shop",
        findings: [
          { backend: "shop-1", url: good, ok: true },
          { backend: "shop-2", url: "http://127.0.0.1:1", ok: false },
          { backend: "shop-3", url: good, ok: true },
        ],
      },
    ]);
  });

  it("counts probes, itself and the changes it caused", async () => {
    const change: Transition = { backend: "shop-2", from: "healthy", to: "unhealthy", reason: "probe" };
    const { context, metric } = recorder([change]);
    const backends = [
      { id: "shop-1", url: good },
      { id: "shop-2", url: "http://127.0.0.1:1" },
    ];
    await sweep(shardWith(backends), context);
    const probes = await metric("evenkeel_monitor_probes_total");
    expect(probes).toContain('{pool="shop",result="good"} 1');
    expect(probes).toContain('{pool="shop",result="bad"} 1');
    expect(await metric("evenkeel_monitor_sweeps_total")).toContain('{pool="shop"} 1');
    expect(await metric("evenkeel_monitor_transitions_total")).toContain('{pool="shop",to="unhealthy"} 1');
  });

  it("is complete for a pool that the ledger does not know yet", async () => {
    const { context, metric } = recorder(null);
    await sweep(shardWith([{ id: "shop-1", url: good }]), context);
    expect(await metric("evenkeel_monitor_sweeps_total")).toContain('{pool="shop"} 1');
  });

  it("fails, and does not count as one, when the ledger cannot be reached", async () => {
    const { context, metric } = recorder(null);
    context.ledger.observe = () => Promise.reject(new Error("redis is away"));
    await expect(sweep(shardWith([{ id: "shop-1", url: good }]), context)).rejects.toThrow("redis is away");
    expect(await metric("evenkeel_monitor_sweeps_total")).not.toContain("shop");
  });

  it("takes the series of a pool that is gone along", async () => {
    const { context, metric } = recorder([]);
    await sweep(shardWith([{ id: "shop-1", url: good }]), context);
    context.metrics.forget("shop");
    expect(await metric("evenkeel_monitor_probes_total")).not.toContain("shop");
    expect(await metric("evenkeel_monitor_sweeps_total")).not.toContain("shop");
  });
});
