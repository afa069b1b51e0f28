// A whole cluster of real processes on this machine: Redis, schedulers, health-monitors, gateways; started in the order
// in which they need each other, stopped in the reverse one.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { AdminApiError, createAdminApi } from "../admin-api.ts";
import type { ProvidedRedis } from "../redis/provide.ts";
import { recordCluster, removeClusterFile } from "./cluster-file.ts";
import { interruptible } from "./interruptible.ts";
import type { ClusterPlan } from "./plan.ts";
import { keepRedis } from "./redis-keeper.ts";
import { type ReadyProcess, type Supervised, supervise } from "./supervise.ts";

const APPLY_TIMEOUT_MS = 15_000;
const APPLY_RETRY_MS = 250;

export interface ClusterOptions {
  plan: ClusterPlan;
  redis: ProvidedRedis;
  /** Made the applied configuration, whatever Redis holds. */
  document: ConfigDocument;
  token: string;
  /** Whether what dies is started again. */
  restart: boolean;
  /** Where the file for the other commands goes. */
  directory: string;
  onReady(process: ReadyProcess): void;
  /** For people: what died, what is started again. */
  say(line: string): void;
  /** Starting is given up: what runs is stopped. */
  signal: AbortSignal;
  /** Stopping waits for nothing any more. */
  force: AbortSignal;
  /** Longest wait for requests in flight. */
  drainMs: number;
}

export interface RunningCluster {
  schedulerUrls: string[];
  stop(): Promise<void>;
}

/** Resolves when every process is ready. @throws when one cannot be started; nothing is left running then */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { plan, document, token, directory, signal, force, say } = options;
  const running: Supervised[] = [];
  const redis = keepRedis(options.redis, options.restart, {
    onReady: options.onReady,
    onDeath: (delayMs) => say(`redis died; ${nextStep(delayMs)}`),
  });

  const start = (plans: ClusterPlan[keyof ClusterPlan]): Promise<ReadyProcess>[] =>
    plans.map((one) => {
      signal.throwIfAborted();
      const process = supervise(one, {
        onReady: options.onReady,
        onDeath: (dead, pid, how, delayMs) =>
          say(`${dead.id} (pid ${pid}) died: ${how}; ${nextStep(delayMs)}`),
      });
      running.push(process);
      return process.firstReady;
    });

  const stop = async () => {
    if (signal.aborted) say(stopping(options.drainMs));
    await removeClusterFile(directory, process.pid);
    const of = (...roles: string[]) => running.filter(({ plan }) => roles.includes(plan.role));
    await Promise.all(of("gateway").map((one) => one.stop(force)));
    await Promise.all(of("scheduler", "health-monitor").map((one) => one.stop(force)));
    await redis.stop();
  };

  try {
    const monitors = start(plan["health-monitor"]);
    const schedulers = await interruptible(Promise.all(start(plan.scheduler)), signal);
    const schedulerUrls = schedulers.map(({ url }) => url);
    await makeApplied(document, schedulerUrls, token, signal);
    await interruptible(Promise.all([...monitors, ...start(plan.gateway)]), signal);
    await recordCluster(directory, { pid: process.pid, schedulers: schedulerUrls }, say);
    return { schedulerUrls, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const nextStep = (delayMs: number | null): string =>
  delayMs === null ? "not started again" : `starting it again in ${delayMs} ms`;

const stopping = (drainMs: number): string =>
  `stopping: waiting up to ${Math.ceil(drainMs / 1_000)} s for requests in flight; Ctrl-C again stops at once`;

/** Schedulers seed an empty Redis by themselves, perhaps at this very moment; asking again settles who was first. */
async function makeApplied(
  document: ConfigDocument,
  urls: readonly string[],
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const api = createAdminApi(urls, token);
  const deadline = performance.now() + APPLY_TIMEOUT_MS;
  for (;;) {
    try {
      if (isDeepStrictEqual(await api.config(), document)) return;
      await api.apply(document);
      return;
    } catch (error) {
      if (!mayPass(error) || performance.now() > deadline) throw error;
    }
    await sleep(APPLY_RETRY_MS, undefined, { signal });
  }
}

/** Not reached yet, changed by another at the same time, or without Redis for a moment. */
const mayPass = (error: unknown): boolean =>
  error instanceof AdminApiError && (error.status === 0 || error.status === 409 || error.status >= 500);
