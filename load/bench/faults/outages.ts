// When it is not one backend: all of them fail, or nobody probes them.
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../../test/support/cluster.ts";
import { createClient } from "../../../test/support/load.ts";
import { epochMs, type FaultyBackend } from "./backends.ts";
import { dueWithin, failed, failuresInWords } from "./records.ts";
import { watch } from "./watch.ts";
import { GATEWAYS, PER_SECOND, pathOf, type World } from "./world.ts";

const WAIT_MAX_MS = 30_000;
/** Monitors that had stopped for long may start their queues afresh before they go on. */
const RESUME_MAX_MS = 45_000;
const FAILING_MS = 5_000;
const AFTER_MS = 1_500;
/** Metrics cost those who are asked for them. */
const METRICS_EVERY_MS = 75;
/** Several times what it would take probes to be missed. */
const UNPROBED_MS = 8_000;

export interface PanicResult {
  /** Until every gateway says so, after all began to fail. */
  panicMs: number;
  /** Until every backend was healthy, and the last gateway out of panic, after all were well again. */
  healthyMs: number;
  calmMs: number;
  /** After all were well again; "0" with none. */
  failedAfter: string;
  lastFailureMs: number;
}

/** Every backend answers 500 for a while; nobody does anything about it. @throws when it does not recover in time */
export async function measurePanic(world: World, progress: (line: string) => void): Promise<PanicResult> {
  const { backends, clients } = world;
  const watching = watch(world, backends[0] as FaultyBackend);
  const client = createClient();
  const inPanic = async () => {
    await sleep(METRICS_EVERY_MS);
    const texts = world.cluster.gateways.map(({ adminUrl }) => client.get(`${adminUrl}/metrics`));
    return sumOf(
      (await Promise.all(texts)).map(({ body }) => body),
      "evenkeel_gateway_panic{",
    );
  };
  const until = async (what: string, condition: () => boolean | Promise<boolean>) => {
    await waitFor(condition, { timeoutMs: WAIT_MAX_MS, what });
    return epochMs();
  };
  try {
    clients.ask(pathOf("usual"), PER_SECOND);
    progress("all backends fail");
    const failMs = Math.min(...(await Promise.all(backends.map((backend) => backend.behave("errors")))));
    const panicAtMs = await until("panic on every gateway", async () => (await inPanic()) === GATEWAYS);
    await sleep(FAILING_MS);
    progress("all backends are well again");
    await clients.take();
    const wellMs = Math.max(...(await Promise.all(backends.map((backend) => backend.behave("well")))));
    const healthy = until("every backend to be healthy", () => {
      const states = watching.pool()?.backends ?? [];
      return states.length === backends.length && states.every(({ health }) => health === "healthy");
    });
    const calm = until("the end of panic", async () => (await inPanic()) === 0);
    const [, calmAtMs] = await Promise.all([healthy, calm]);
    await sleep(AFTER_MS);
    const returned = watching.changes.filter(({ health, atMs }) => health === "healthy" && atMs > wellMs);
    const after = dueWithin(await clients.take(), wellMs, Number.POSITIVE_INFINITY);
    return {
      panicMs: panicAtMs - failMs,
      healthyMs: Math.max(0, ...returned.map(({ atMs }) => atMs - wellMs)),
      calmMs: calmAtMs - wellMs,
      failedAfter: failuresInWords(after),
      lastFailureMs: Math.max(0, ...after.filter(failed).map(({ dueMs, tookMs }) => dueMs + tookMs - wellMs)),
    };
  } finally {
    await watching.stop();
    client.close();
  }
}

export interface UnprobedResult {
  /** Until every scheduler's gauge said that no health-monitor is alive. */
  alarmMs: number;
  /** Changes of health of any backend, and failed responses, in `unprobedMs`. */
  changes: number;
  failures: string;
  unprobedMs: number;
}

/** All health-monitors are stopped, and stay so until `resumeMonitors`. */
export async function measureUnprobed(
  world: World,
  progress: (line: string) => void,
): Promise<UnprobedResult> {
  const { cluster, clients, backends } = world;
  const watching = watch(world, backends[0] as FaultyBackend);
  const client = createClient();
  const alive = async () => {
    await sleep(METRICS_EVERY_MS);
    const texts = cluster.schedulers.map(({ adminUrl }) => client.get(`${adminUrl}/metrics`));
    const bodies = (await Promise.all(texts)).map(({ body }) => body);
    return sumOf(bodies, 'evenkeel_members{role="health-monitor"}');
  };
  try {
    clients.ask(pathOf("usual"), PER_SECOND);
    await waitFor(async () => (await alive()) > 0, {
      timeoutMs: WAIT_MAX_MS,
      what: "monitors to be counted",
    });
    await clients.take();
    progress("all health-monitors are stopped");
    const stoppedMs = epochMs();
    for (const monitor of cluster.monitors) cluster.kill(monitor, "SIGSTOP");
    await waitFor(async () => (await alive()) === 0, { timeoutMs: WAIT_MAX_MS, what: "the alarm" });
    const alarmMs = epochMs() - stoppedMs;
    await sleep(UNPROBED_MS);
    const answers = await clients.take();
    return {
      alarmMs,
      changes: watching.changes.length,
      failures: failuresInWords(answers),
      unprobedMs: epochMs() - stoppedMs,
    };
  } finally {
    await watching.stop();
    client.close();
  }
}

/** Resolves when they probe again. */
export async function resumeMonitors(world: World): Promise<void> {
  const { cluster, backends } = world;
  for (const monitor of cluster.monitors) cluster.kill(monitor, "SIGCONT");
  const resumedMs = epochMs();
  const watching = watch(world, backends[0] as FaultyBackend);
  const probed = () => watching.pool()?.backends.every(({ probedMs }) => (probedMs ?? 0) > resumedMs);
  try {
    await waitFor(() => probed() === true, {
      timeoutMs: RESUME_MAX_MS,
      what: "every backend to be probed again",
    });
  } finally {
    await watching.stop();
  }
}

/** Of all lines that begin so. */
const sumOf = (texts: readonly string[], begin: string): number =>
  texts
    .flatMap((text) => text.split("\n"))
    .filter((line) => line.startsWith(begin))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
