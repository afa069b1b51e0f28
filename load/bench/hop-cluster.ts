// What the hop is measured on: a gateway, a scheduler, a health-monitor and a Redis as `evenkeel up` starts them, and
// one process that answers for all backends. Processes say of themselves what they have used.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { type ClusterProcess, startCluster } from "../../test/support/cluster.ts";
import type { ClientResult, ClientTask } from "./client.ts";

const POOL = "hop";
const DYNAMIC = "/dynamic";
const staticPath = (backend: string) => `/static/${backend}`;

export interface Counters {
  gatewayCpuS: number;
  schedulerCpuS: number;
  redisCpuS: number;
  decisions: number;
  settles: number;
}

export interface HopCluster {
  gatewayUrl: string;
  paths: { static: string[]; dynamic: string[] };
  read(): Promise<Counters>;
  /** The deciding part of a gateway alone, in a process of its own. */
  runClient(concurrency: number, durationMs: number): Promise<ClientResult>;
  stop(): Promise<void>;
}

export async function startHopCluster(backends: number): Promise<HopCluster> {
  const backend = fork(new URL("./backend.ts", import.meta.url), [String(backends)], { execArgv: [] });
  const [ports] = (await once(backend, "message")) as [number[]];
  const config = await configOf(ports);
  const cluster = await startCluster({ config, restart: false }).catch((error) => {
    end(backend);
    throw error;
  });
  const [gateway, scheduler] = [cluster.gateways[0], cluster.schedulers[0]] as ClusterProcess[];
  const redisUrl = cluster.redis?.url;
  if (!gateway || !scheduler || !redisUrl) throw new Error("the cluster is not complete: is a Redis given?");
  const redis = openRedis(
    { url: redisUrl, name: "bench" },
    createLog("silent", { role: "bench", id: "hop" }),
  );
  const pool = config.pools[0] as ClientTask["pool"];
  return {
    gatewayUrl: gateway.url,
    paths: { static: ports.map((_port, i) => staticPath(`b-${i}`)), dynamic: [DYNAMIC] },
    async read() {
      const [inGateway, inScheduler, inRedis] = await Promise.all([
        metricsOf(gateway),
        metricsOf(scheduler),
        redis.info("cpu"),
      ]);
      const redisCpu = (kind: string) =>
        Number(new RegExp(`^used_cpu_${kind}:(.*)$`, "m").exec(inRedis)?.[1]);
      return {
        gatewayCpuS: inGateway("evenkeel_process_cpu_seconds_total"),
        schedulerCpuS: inScheduler("evenkeel_process_cpu_seconds_total"),
        redisCpuS: redisCpu("user") + redisCpu("sys"),
        decisions: inScheduler(`evenkeel_scheduler_decisions_total{pool="${POOL}"}`),
        settles: inGateway(`evenkeel_gateway_settle_seconds_count{pool="${POOL}"}`),
      };
    },
    async runClient(concurrency, durationMs) {
      const task: ClientTask = { scheduler: scheduler.adminUrl, pool, concurrency, durationMs };
      const client = fork(new URL("./client.ts", import.meta.url), { execArgv: [] });
      client.send(task);
      const failed = once(client, "exit").then(() =>
        Promise.reject(new Error("the client process ended early")),
      );
      const [result] = (await Promise.race([once(client, "message"), failed])) as [ClientResult];
      return result;
    },
    async stop() {
      redis.disconnect();
      await cluster.stop();
      end(backend);
    },
  };
}

/** A static route to each backend, so that both kinds of route spread over the same connections. */
async function configOf(ports: readonly number[]): Promise<ConfigDocument> {
  const backends = ports.map((port, i) => ({ id: `b-${i}`, url: `http://127.0.0.1:${port}` }));
  const fixed = backends.map(({ id }) => ({
    name: id,
    match: { path: staticPath(id) },
    proxy: "static" as const,
    pool: POOL,
    backend: id,
  }));
  return {
    listeners: [{ name: "web", protocol: "http", port: await freePort(), address: "127.0.0.1" }],
    routes: [{ name: "dynamic", match: { path: DYNAMIC }, proxy: "dynamic", pool: POOL }, ...fixed],
    pools: [{ name: POOL, backends }],
  };
}

async function metricsOf({ adminUrl }: ClusterProcess): Promise<(name: string) => number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const values = new Map(text.split("\n").map((line) => line.split(/ (?=[^ ]*$)/) as [string, string]));
  return (name) => Number(values.get(name) ?? 0);
}

/** The channel keeps the process alive, and its end ends it. */
function end(child: ChildProcess): void {
  if (child.connected) child.disconnect();
}
