// What probing is measured on: a Redis, health-monitors as they are started everywhere, one process that answers for all
// backends. No gateway and no scheduler, so that what is used is used for probing.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { facts } from "@evenkeel/core/ledger/fixtures.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { configKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { openRedis, type Redis } from "@evenkeel/runtime/redis.ts";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { openNursery, redisExecutable } from "../../test/support/redis-process.ts";
import type { BackendReport } from "./probes-backend.ts";

const MONITOR = fileURLToPath(new URL("../../services/health-monitor/main.ts", import.meta.url));
const PREFIX = "bench";
const READY_TIMEOUT_MS = 20_000;

export interface ProbesPlan {
  pools: number;
  backends: number;
  monitors: number;
  intervalMs: number;
  /** Whether the backends note their pauses, which costs them. */
  pauses: boolean;
  /** Of node, for the monitors. */
  execArgv: string[];
}

export interface ProbesCluster {
  monitors: Monitor[];
  askBackends(what: "report" | "reset"): Promise<BackendReport>;
  redisCpuS(): Promise<number>;
  /** When the last probe of each backend was due that the ledger has recorded. */
  probedMs(): Promise<(number | null)[]>;
  stop(): Promise<void>;
}

export interface Monitor {
  child: ChildProcess;
  /** Sum over all series whose line begins so. */
  metric(start: string): Promise<number>;
  metrics(): Promise<(start: string) => number>;
}

/** Every address of 127.0.0.0/8 is this machine; .0 and .255 are left out. */
const addressOf = (i: number) =>
  `127.${1 + Math.floor(i / 62_500)}.${Math.floor(i / 250) % 250}.${1 + (i % 250)}`;

export async function startProbesCluster(plan: ProbesPlan): Promise<ProbesCluster> {
  if (redisExecutable === null) throw new Error("there is no redis-server to start");
  const nursery = await openNursery();
  const { port } = await nursery.start(await freePort(), "--save", "");
  const url = `redis://127.0.0.1:${port}`;
  const redis = openRedis({ url, name: "bench" }, createLog("silent", { role: "bench", id: "probes" }));
  await once(redis, "ready");
  const backend = fork(new URL("./probes-backend.ts", import.meta.url), plan.pauses ? ["--pauses"] : [], {
    execArgv: [],
  });
  const [backendPort] = (await once(backend, "message")) as [number];
  const pools = poolsOf(plan, backendPort);
  await applyAll(redis, pools);
  const monitors = await Promise.all(
    Array.from({ length: plan.monitors }, (_, i) => startMonitor(url, `monitor-${i + 1}`, plan.execArgv)),
  );
  const ledger = createRedisLedger({ redis, prefix: PREFIX });
  return {
    monitors,
    async askBackends(what) {
      backend.send(what);
      const [report] = (await once(backend, "message")) as [BackendReport];
      return report;
    },
    async redisCpuS() {
      const text = await redis.info("cpu");
      const used = (kind: string) => Number(new RegExp(`^used_cpu_${kind}:(.*)$`, "m").exec(text)?.[1]);
      return used("user") + used("sys");
    },
    async probedMs() {
      const states = await Promise.all(pools.map(({ name }) => ledger.read(name)));
      return states.flatMap((state) => state?.backends.map(({ probedMs }) => probedMs) ?? []);
    },
    async stop() {
      const exits = monitors.filter(({ child }) => child.exitCode === null && child.signalCode === null);
      await Promise.all(
        exits.map(({ child }) => {
          const exited = once(child, "exit");
          child.kill("SIGTERM");
          return exited;
        }),
      );
      redis.disconnect();
      await nursery.stop();
      if (backend.connected) backend.disconnect();
    },
  };
}

const poolsOf = ({ pools, backends, intervalMs }: ProbesPlan, port: number): PoolDocument[] =>
  Array.from({ length: pools }, (_, p) => ({
    name: `pool-${p}`,
    backends: Array.from({ length: Math.floor(backends / pools) }, (_b, i) => ({
      id: `backend-${i}`,
      url: `http://${addressOf(p * Math.floor(backends / pools) + i)}:${port}`,
    })),
    health: { protocol: "http", path: "/healthz", intervalMs, timeoutMs: 500 },
  }));

async function applyAll(redis: Redis, pools: PoolDocument[]): Promise<void> {
  const document: ConfigDocument = {
    listeners: [{ name: "web", protocol: "http", port: 0 }],
    routes: [],
    pools,
  };
  const ledger = createRedisLedger({ redis, prefix: PREFIX });
  for (const pool of pools) {
    const { name, rise, fall, ejectMs, backends } = resolvePool(pool);
    await ledger.configure({ ...facts({}), pool: name, rise, fall, holdMs: ejectMs, backends });
  }
  await redis.hset(configKey(PREFIX), { version: 1, document: JSON.stringify(document) });
}

async function startMonitor(url: string, name: string, execArgv: string[]): Promise<Monitor> {
  const child = fork(MONITOR, {
    execArgv,
    env: {
      PATH: process.env.PATH,
      EVENKEEL_REDIS_URL: url,
      EVENKEEL_PREFIX: PREFIX,
      EVENKEEL_NAME: name,
      EVENKEEL_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const late = AbortSignal.timeout(READY_TIMEOUT_MS);
  const [{ adminUrl }] = (await once(child, "message", { signal: late })) as [{ adminUrl: string }];
  const metrics = async () => {
    const lines = (await (await fetch(`${adminUrl}/metrics`)).text()).split("\n");
    return (start: string) =>
      lines
        .filter((line) => line.startsWith(start))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  };
  return { child, metrics, metric: async (start) => (await metrics())(start) };
}
