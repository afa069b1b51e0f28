// Which processes a cluster on this machine consists of, and what each is told by its environment.
import { fileURLToPath } from "node:url";
import { restartDelayMs } from "./back-off.ts";
import type { ProcessPlan, ProcessRole } from "./supervise.ts";

type Role = Exclude<ProcessRole, "backend">;

/** What a process may take to leave beyond its drain. */
const STOP_MARGIN_MS = 5_000;

export interface ClusterSize {
  gateways: number;
  schedulers: number;
  monitors: number;
}

export interface PlanOptions {
  size: ClusterSize;
  /** The environment of `evenkeel up` itself: what the user set there, the services get. */
  env: NodeJS.ProcessEnv;
  redisUrl: string;
  prefix: string | undefined;
  /** The file that schedulers apply when Redis holds no configuration. */
  configFile: string;
  restart: boolean;
  /** Longest wait for requests in flight. */
  drainMs: number;
  /** One free port per process: admin ports stay the same over restarts. */
  nextPort: () => Promise<number>;
}

export type ClusterPlan = Record<Role, ProcessPlan[]>;

export async function planCluster(options: PlanOptions): Promise<ClusterPlan> {
  const { size, configFile } = options;
  return {
    scheduler: await processes("scheduler", size.schedulers, options, () => ({
      EVENKEEL_CONFIG: configFile,
    })),
    "health-monitor": await processes("health-monitor", size.monitors, options, () => ({})),
    gateway: await processes("gateway", size.gateways, options, (n) => ({ EVENKEEL_PORT_OFFSET: String(n) })),
  };
}

async function processes(
  role: Role,
  count: number,
  options: PlanOptions,
  own: (n: number) => NodeJS.ProcessEnv,
): Promise<ProcessPlan[]> {
  const { env, redisUrl, prefix, restart, drainMs, nextPort } = options;
  const plans: ProcessPlan[] = [];
  for (let n = 0; n < count; n++) {
    const id = `${role}-${n + 1}`;
    plans.push({
      role,
      id,
      script: fileURLToPath(new URL(`../../../services/${role}/main.ts`, import.meta.url)),
      env: {
        ...env,
        EVENKEEL_REDIS_URL: redisUrl,
        ...(prefix === undefined ? {} : { EVENKEEL_PREFIX: prefix }),
        EVENKEEL_NAME: id,
        EVENKEEL_ADMIN_PORT: String(await nextPort()),
        ...own(n),
      },
      stopTimeoutMs: drainMs + STOP_MARGIN_MS,
      restartDelayMs: restart ? restartDelayMs : null,
    });
  }
  return plans;
}
