// Sweeps of pools whose backends have an agent, on real sockets and against the reference ledger.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Pool, resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { Finding } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { afterEach, describe, expect, it } from "vitest";
import { createMonitorMetrics } from "../metrics.ts";
import { factsOf } from "../test-support/world.ts";
import { createLimit } from "./limit.ts";
import { type Shard, shardsOf } from "./shards.ts";
import { sweep } from "./sweep.ts";

const TIMEOUT_MS = 150;

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A backend whose probe is always good. @param load what its agent answers; null: it never does */
async function backendWith(load: string | null): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === "/healthz") response.end("ok");
    else if (load !== null) response.end(load);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const poolOf = (urls: readonly string[], more: object = {}): Pool =>
  resolvePool({
    name: "shop",
    backends: urls.map((url, i) => ({ id: `shop-${i}`, url })),
    health: { protocol: "http", path: "/healthz", timeoutMs: TIMEOUT_MS, rise: 1, fall: 1 },
    reports: { agent: { path: "/load", metrics: ["cpu"] } },
    ...more,
  });

const shardOf = (pool: Pool) => shardsOf(pool)[0] as Shard;

function monitor() {
  const registry = createMetrics();
  const ledger = createModelLedger(() => 1_700_000_000_000);
  const observed: Finding[] = [];
  const context = {
    ledger: {
      observe: async (pool: string, findings: readonly Finding[]) => {
        observed.push(...findings);
        return ledger.observe(pool, findings);
      },
    },
    limit: createLimit(8),
    agentLimit: createLimit(8),
    metrics: createMonitorMetrics(registry),
    log: createLog("silent", { role: "test", id: "test" }),
  };
  const failures = () => registry.registry.getSingleMetricAsString("evenkeel_monitor_agent_failures_total");
  return { ledger, context, observed, failures };
}

describe("a sweep of a pool with agents", () => {
  it("hands the ledger what the agents say, together with what the probes found", async () => {
    const pool = poolOf([await backendWith('{"cpu": 0.5}'), await backendWith('{"cpu": 0.25, "more": 1}')]);
    const { ledger, context, failures } = monitor();
    await ledger.configure(factsOf(pool));
    await sweep(shardOf(pool), context);
    const state = await ledger.read("shop");
    expect(state?.backends.map(({ health, metrics }) => ({ health, metrics }))).toEqual([
      { health: "healthy", metrics: { cpu: 0.5 } },
      { health: "healthy", metrics: { cpu: 0.25 } },
    ]);
    expect(await failures()).not.toContain("shop");
  });

  it("holds no agent's fault against its backend, and counts it", async () => {
    const sound = await backendWith('{"cpu": 0.5}');
    const pool = poolOf([await backendWith(null), await backendWith("busy"), await backendWith("{}"), sound]);
    const { ledger, context, observed, failures } = monitor();
    await ledger.configure(factsOf(pool));
    await sweep(shardOf(pool), context);
    expect(observed.map(({ ok, metrics }) => ({ ok, metrics }))).toEqual([
      { ok: true, metrics: undefined },
      { ok: true, metrics: undefined },
      { ok: true, metrics: undefined },
      { ok: true, metrics: { cpu: 0.5 } },
    ]);
    expect((await ledger.read("shop"))?.backends.every(({ health }) => health === "healthy")).toBe(true);
    expect(await failures()).toContain('{pool="shop"} 3');
    context.metrics.forget("shop");
    expect(await failures()).not.toContain("shop");
  });

  it("tells what an agent says of a backend whose probe is bad", async () => {
    const { port } = new URL(await backendWith('{"cpu": 0.5}'));
    const reports = { agent: { path: "/load", port: Number(port), metrics: ["cpu"] } };
    const pool = poolOf(["http://127.0.0.1:1"], { reports });
    const { context, observed } = monitor();
    await sweep(shardOf(pool), context);
    expect(observed).toEqual([
      { backend: "shop-0", url: "http://127.0.0.1:1", ok: false, metrics: { cpu: 0.5 } },
    ]);
  });

  it("waits for agents that hang no longer than for one, however many have had no turn by then", async () => {
    let asked = 0;
    const hanging = createServer(() => {
      asked += 1;
    });
    servers.push(hanging);
    await new Promise<void>((resolve) => hanging.listen(0, "127.0.0.1", resolve));
    const { port } = hanging.address() as AddressInfo;
    const urls = await Promise.all(Array.from({ length: 6 }, () => backendWith("{}")));
    const pool = poolOf(urls, { reports: { agent: { path: "/load", port, metrics: ["cpu"] } } });
    const { context, observed, failures } = monitor();
    await sweep(shardOf(pool), { ...context, agentLimit: createLimit(2) });
    expect(asked).toBe(2);
    expect(observed.map(({ ok }) => ok)).toEqual(urls.map(() => true));
    expect(await failures()).toContain('{pool="shop"} 6');
  });

  it("asks nobody where the pool has no agents", async () => {
    const pool = poolOf([await backendWith('{"cpu": 0.5}')], { reports: { header: ["cpu"] } });
    const { context, observed, failures } = monitor();
    await sweep(shardOf(pool), context);
    expect(observed).toEqual([{ backend: "shop-0", url: pool.backends[0]?.url, ok: true }]);
    expect(await failures()).not.toContain("shop");
  });
});
