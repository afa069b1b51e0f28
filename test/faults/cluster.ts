// The cluster under test: three gateways, two schedulers, two monitors, a Redis and five backends, all real processes,
// and between every service and Redis a relay of its own.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, isFree } from "../../libs/cli/supervisor/ports.ts";
import type { BackendMode } from "./backend-process.ts";
import type { Role } from "./facts.ts";
import { type Follower, startFollower } from "./follower.ts";
import { createProcess, type ProcessOptions, type RealProcess, type Reaper } from "./processes.ts";
import { createRedis, type RealRedis } from "./redis.ts";
import { openRelay, type Relay } from "./relay.ts";
import { configFor, SIZE } from "./settings.ts";
import { startWatch, type Watch } from "./watch.ts";

const PREFIX = "faults";
const PORT_ATTEMPTS = 100;
/** For requests in flight when a gateway is stopped: all attempts of one. */
const DRAIN_DEADLINE_MS = 5_000;

export interface Service {
  role: Role;
  process: RealProcess;
  relay: Relay;
  adminUrl: string;
}

export interface Backend {
  id: string;
  process: RealProcess;
  /** Resolves when it is as told. */
  become(mode: BackendMode): Promise<void>;
}

export interface Cluster {
  redis: RealRedis;
  watch: Watch;
  follower: Follower;
  services: Map<string, Service>;
  backends: Map<string, Backend>;
  gateways: { id: string; url: string }[];
  /** Grows: one for each POST that was carried out. */
  executions: { id: string; backend: string }[];
  /** Grows: what ended by itself. */
  deaths: string[];
  stop(): Promise<void>;
}

type Common = Pick<ProcessOptions, "reaper" | "onDeath">;

export interface ClusterOptions {
  /** redis-server */
  program: string;
  /** A place for a directory of its own. */
  directory: string;
  reaper: Reaper;
}

/** @throws when it does not become ready; nothing is left running then */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { program, reaper } = options;
  const taken = new Set<number>();
  const directory = await mkdtemp(join(options.directory, "cluster-"));
  const deaths: string[] = [];
  const executions: Cluster["executions"] = [];
  const common: Common = { reaper, onDeath: (how) => deaths.push(how) };
  const redis = createRedis(program, await freePort(taken), directory, reaper);
  const webPort = await consecutivePorts(SIZE.gateways, taken);
  const backends = new Map<string, Backend>();
  const urls: { id: string; url: string }[] = [];
  for (let n = 1; n <= SIZE.backends; n++) {
    const port = await freePort(taken);
    const backend = createBackend(`backend-${n}`, port, common, executions);
    backends.set(backend.id, backend);
    urls.push({ id: backend.id, url: `http://127.0.0.1:${port}` });
  }
  const configFile = join(directory, "config.json");
  await writeFile(configFile, JSON.stringify(configFor(webPort, urls)));
  const services = await createServices(configFile, redis.port, taken, common);
  const watch = startWatch(redis.port, PREFIX);
  const schedulers = [...services.values()].filter(({ role }) => role === "scheduler");
  const follower = startFollower(schedulers.map(({ adminUrl }) => adminUrl));
  const processes = [...services.values(), ...backends.values()].map(({ process }) => process);
  const stop = async () => {
    watch.close();
    follower.close();
    await Promise.all(processes.map((process) => process.kill()));
    for (const { relay } of services.values()) relay.close();
    await redis.kill();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await redis.start();
    await Promise.all(processes.map((process) => process.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const gateways = Array.from({ length: SIZE.gateways }, (_, n) => ({
    id: `gateway-${n + 1}`,
    url: `http://127.0.0.1:${webPort + n}`,
  }));
  return { redis, watch, follower, services, backends, gateways, executions, deaths, stop };
}

function createBackend(id: string, port: number, common: Common, executions: Cluster["executions"]): Backend {
  let told: (() => void) | null = null;
  const process = createProcess({
    ...common,
    id,
    script: new URL("./backend-process.ts", import.meta.url),
    env: { ...inherited(), BACKEND_PORT: String(port) },
    onMessage(message) {
      if ("executed" in message) executions.push({ id: String(message.executed), backend: id });
      else told?.();
    },
  });
  return {
    id,
    process,
    become(mode) {
      const done = Promise.withResolvers<void>();
      told = done.resolve;
      process.tell({ mode });
      return done.promise;
    },
  };
}

const ROLES = [
  ["scheduler", SIZE.schedulers],
  ["health-monitor", SIZE.monitors],
  ["gateway", SIZE.gateways],
] as const;

async function createServices(
  configFile: string,
  redisPort: number,
  taken: Set<number>,
  common: Common,
): Promise<Map<string, Service>> {
  const services = new Map<string, Service>();
  for (const [role, count] of ROLES) {
    for (let n = 0; n < count; n++) {
      const id = `${role}-${n + 1}`;
      const relay = await openRelay(await freePort(taken), redisPort);
      const adminPort = await freePort(taken);
      const script = new URL(`../../services/${role}/main.ts`, import.meta.url);
      const env = {
        ...inherited(),
        EVENKEEL_REDIS_URL: `redis://127.0.0.1:${relay.port}`,
        EVENKEEL_PREFIX: PREFIX,
        EVENKEEL_NAME: id,
        EVENKEEL_DRAIN_DEADLINE_MS: String(DRAIN_DEADLINE_MS),
        EVENKEEL_ADMIN_PORT: String(adminPort),
        EVENKEEL_CONFIG: role === "scheduler" ? configFile : "",
        EVENKEEL_PORT_OFFSET: role === "gateway" ? String(n) : "",
      };
      const process = createProcess({ ...common, id, script, env });
      services.set(id, { role, process, relay, adminUrl: `http://127.0.0.1:${adminPort}` });
    }
  }
  return services;
}

/** What the machine has set for Evenkeel must not decide what is tested. */
const inherited = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("EVENKEEL_")));

async function consecutivePorts(count: number, taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const first = await freePort(taken);
    const others = Array.from({ length: count - 1 }, (_, i) => first + 1 + i);
    const free = await Promise.all(others.map((port) => !taken.has(port) && isFree(port)));
    if (!free.every(Boolean)) continue;
    for (const port of others) taken.add(port);
    return first;
  }
  throw new Error(`no ${count} free ports in a row found`);
}
