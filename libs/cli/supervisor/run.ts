// From a valid configuration to a running cluster, until the user has had enough: what `up` and `demo` share.
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { integer, readEnvironment } from "@evenkeel/runtime/environment.ts";
import type { Context } from "../command.ts";
import { provideRedis } from "../redis/provide.ts";
import { type RunningCluster, startCluster } from "./cluster.ts";
import { type ClusterSize, planCluster } from "./plan.ts";
import { freePort, gatewayPorts, isFree, portCollision } from "./ports.ts";
import type { ReadyProcess } from "./supervise.ts";

export interface RunOptions {
  document: ConfigDocument;
  /** Absolute; holds `document`. */
  configFile: string;
  size: ClusterSize;
  redisUrl: string | null;
  prefix: string | null;
  restart: boolean;
  onReady(process: ReadyProcess): void;
  /** Every process is ready. */
  onUp(cluster: RunningCluster): void;
}

/** Runs until `context.signal`. @throws when it cannot be started; nothing is left running then */
export async function runCluster(options: RunOptions, context: Context): Promise<void> {
  const { env, signal, force, say } = context;
  const drainMs = longestDrainMs(env);
  const takenPorts = await claimPorts(options);
  const redis = await provideRedis({ env, say, url: options.redisUrl ?? undefined });
  const { size, configFile, restart } = options;
  const plan = await planCluster({
    size,
    env,
    redisUrl: redis.url,
    prefix: options.prefix ?? undefined,
    configFile,
    restart,
    drainMs,
    nextPort: () => freePort(takenPorts),
  }).catch(async (error) => {
    await redis.stop();
    throw error;
  });
  const cluster = await startCluster({
    plan,
    redis,
    document: options.document,
    token: env.EVENKEEL_TOKEN ?? "",
    restart,
    directory: context.directory,
    onReady: options.onReady,
    say,
    signal,
    force,
    drainMs,
  });
  options.onUp(cluster);
  await aborted(signal);
  await cluster.stop();
}

/** @throws EnvironmentError: what is wrong with it is said once here, not by every process */
function longestDrainMs(env: NodeJS.ProcessEnv): number {
  const environment = readEnvironment(env);
  const graceMs = integer(environment, "EVENKEEL_DRAIN_GRACE_MS", 0, 3_600_000);
  return graceMs + integer(environment, "EVENKEEL_DRAIN_DEADLINE_MS", 0, 3_600_000);
}

/** The listeners' ports, so that nothing else is given one of them. @throws when they collide or are not free */
async function claimPorts({ document, size }: RunOptions): Promise<Set<number>> {
  const ports = gatewayPorts(resolveConfig(document).listeners, size.gateways);
  const collision = portCollision(ports);
  if (collision !== null) throw new Error(collision);
  for (const { port, address, listener, gateway } of ports) {
    if (await isFree(port, address)) continue;
    throw new Error(
      `port ${port} of ${address} is not free (gateway-${gateway + 1}, listener "${listener}")`,
    );
  }
  return new Set(ports.map(({ port }) => port));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
