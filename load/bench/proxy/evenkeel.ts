// Evenkeel as `evenkeel up` starts it, the gateway on the proxy's core, scheduler, health-monitor and Redis on the others.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { freePort } from "../../../libs/cli/supervisor/ports.ts";
import { startCluster } from "../../../test/support/cluster.ts";
import { type Cores, cpuUs, familyOf, pin } from "./machine.ts";

const POOL = "bench";

export interface Evenkeel {
  port: number;
  /** Of the gateway. */
  pid: number;
  paths: { static: string; dynamic: string };
  /** µs so far of what a dynamic route needs beside the gateway. */
  helpersUs(): { scheduler: number; redis: number };
  log(): string;
  stop(): Promise<void>;
}

/** @param env more variables for every process */
export async function startEvenkeel(
  backendPort: number,
  cores: Cores,
  env: Record<string, string> = {},
): Promise<Evenkeel> {
  const port = await freePort();
  const cluster = await startCluster({ config: configOf(port, backendPort), restart: false, env });
  const [gateway] = cluster.gateways;
  const [scheduler] = cluster.schedulers;
  const { redis } = cluster;
  if (!gateway || !scheduler || !redis) {
    await cluster.stop();
    throw new Error("the cluster is not complete");
  }
  for (const { pid } of familyOf(cluster.pid)) pin(pid, cores.others);
  pin(gateway.pid, cores.proxy);
  return {
    port,
    pid: gateway.pid,
    paths: { static: "/static", dynamic: "/dynamic" },
    helpersUs: () => ({ scheduler: cpuUs(scheduler.pid), redis: cpuUs(redis.pid) }),
    log: cluster.log,
    stop: async () => void (await cluster.stop()),
  };
}

function configOf(port: number, backendPort: number): ConfigDocument {
  return {
    listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
    routes: [
      { name: "static", match: { path: "/static" }, proxy: "static", pool: POOL, backend: "b1" },
      { name: "dynamic", match: { path: "/dynamic" }, proxy: "dynamic", pool: POOL },
    ],
    pools: [{ name: POOL, backends: [{ id: "b1", url: `http://127.0.0.1:${backendPort}` }] }],
  };
}
