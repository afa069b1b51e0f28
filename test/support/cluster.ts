// Whole clusters for end-to-end tests: the real `evenkeel up --json` in a directory of its own, and real backends that
// can be killed and started again on their port.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { freePort } from "../../libs/cli/supervisor/ports.ts";

const CLI = fileURLToPath(new URL("../../libs/cli/bin/evenkeel.js", import.meta.url));
const BACKEND = fileURLToPath(new URL("../../libs/cli/demo/backend.ts", import.meta.url));
const UP_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 45_000;
const POLL_INTERVAL_MS = 25;
/** Lines of the services' logs that are kept, to be shown when something goes wrong. */
const KEPT_LOG_LINES = 400;

export interface ClusterProcess {
  role: "redis" | "gateway" | "scheduler" | "health-monitor";
  id: string;
  pid: number;
  url: string;
  adminUrl: string;
}

export interface ClusterOptions {
  config: ConfigDocument;
  gateways?: number;
  schedulers?: number;
  monitors?: number;
  /** Left out: the cluster starts a Redis of its own. */
  redisUrl?: string;
  /** Default: one of its own, so that clusters may share a Redis. */
  prefix?: string;
  /** False: what dies stays dead. */
  restart?: boolean;
  /** More EVENKEEL_* variables for every service. */
  env?: Record<string, string>;
}

export interface TestCluster {
  /** The latest of each id, in the order of their ids. */
  processes(role: ClusterProcess["role"]): ClusterProcess[];
  gateways: ClusterProcess[];
  schedulers: ClusterProcess[];
  monitors: ClusterProcess[];
  /** Null when it was given. */
  redis: ClusterProcess | null;
  prefix: string;
  /** Process id of `evenkeel up`. */
  pid: number;
  /** Where it runs: holds config.json and .evenkeel/cluster.json. */
  directory: string;
  /** The last lines of the services' logs and of `up`. */
  log(): string;
  kill(process: ClusterProcess, signal?: NodeJS.Signals): void;
  /** Sends SIGTERM and waits until `up` has ended. Returns its exit code. */
  stop(): Promise<number | null>;
}

/** @throws with the log when the cluster does not become ready in time */
export async function startCluster(options: ClusterOptions): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), "evenkeel-e2e-"));
  await writeFile(join(directory, "config.json"), JSON.stringify(options.config, null, 2));
  const prefix = options.prefix ?? `e2e-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const child = spawn(process.execPath, [CLI, ...upArguments(options, prefix)], {
    cwd: directory,
    env: { ...withoutEvenkeel(process.env), EVENKEEL_LOG_LEVEL: "info", ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"], // by its end `up` sees that the test process is gone
  });
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const log: string[] = [];
  const processes = new Map<string, ClusterProcess>();
  const ready = followLines(child, processes, log);
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await exited;
    clearTimeout(timer);
    await rm(directory, { recursive: true, force: true });
    return code;
  };
  try {
    const early = exited.then((code) =>
      Promise.reject(new Error(`evenkeel up ended with exit code ${code}`)),
    );
    await within(UP_TIMEOUT_MS, "the cluster to be ready", Promise.race([ready, early]));
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${log.join("\n")}`);
  }
  const of = (role: ClusterProcess["role"]) =>
    [...processes.values()]
      .filter((one) => one.role === role)
      .sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
  return {
    processes: of,
    get gateways() {
      return of("gateway");
    },
    get schedulers() {
      return of("scheduler");
    },
    get monitors() {
      return of("health-monitor");
    },
    get redis() {
      return of("redis")[0] ?? null;
    },
    prefix,
    pid: child.pid as number,
    directory,
    log: () => log.join("\n"),
    kill: ({ pid }, signal = "SIGKILL") => void process.kill(pid, signal),
    stop,
  };
}

function upArguments({ gateways, schedulers, monitors, redisUrl, restart }: ClusterOptions, prefix: string) {
  const flags = { gateways, schedulers, monitors, redis: redisUrl, prefix };
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return [
    ...["up", "--json", "--config", "config.json"],
    ...given.flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(restart === false ? ["--no-restart"] : []),
  ];
}

/** What the machine or the test runner has set must not decide what is tested. */
const withoutEvenkeel = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("EVENKEEL_")));

/** Resolves at the line that says that the cluster is ready; goes on following. */
function followLines(
  child: ChildProcess,
  processes: Map<string, ClusterProcess>,
  log: string[],
): Promise<void> {
  const keep = (line: string) => {
    log.push(line);
    if (log.length > KEPT_LOG_LINES) log.shift();
  };
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on("line", keep);
  return new Promise((resolve) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      keep(line);
      const said = JSON.parse(line) as ClusterProcess | { role: "cluster" };
      if (said.role === "cluster") resolve();
      else processes.set(said.id, said);
    });
  });
}

export interface TestBackend {
  readonly id: string;
  readonly url: string;
  /** Of the present process. */
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** On the same port, after `kill`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface BackendOptions {
  id: string;
  delayMs?: number;
  port?: number;
}

/** A backend in a process of its own. It ends with the test process. */
export async function startBackend({ id, delayMs = 0, port }: BackendOptions): Promise<TestBackend> {
  const fixed = port ?? (await freePort());
  const env = {
    ...process.env,
    BACKEND_ID: id,
    BACKEND_PORT: String(fixed),
    BACKEND_DELAY_MS: String(delayMs),
  };
  let child: ChildProcess;

  const start = async () => {
    child = spawn(process.execPath, [BACKEND], { env, stdio: ["ignore", "ignore", "ignore", "ipc"] });
    const exited = once(child, "exit").then(() =>
      Promise.reject(new Error(`backend ${id} ended at its start`)),
    );
    exited.catch(() => {});
    await within(UP_TIMEOUT_MS, `backend ${id} to be ready`, Promise.race([once(child, "message"), exited]));
  };
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };

  await start();
  return {
    id,
    url: `http://127.0.0.1:${fixed}`,
    get pid() {
      return child.pid as number;
    },
    kill,
    restart: start,
    stop: kill,
  };
}

/** Asks until the answer is true (or not null). @throws naming `what` after `timeoutMs`, with the last error if there was one */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs, what }: { timeoutMs: number; what: string },
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let reason = "";
  do {
    try {
      const answer = await condition();
      if (answer !== false && answer !== null && answer !== undefined) return answer;
      reason = "";
    } catch (error) {
      reason = `: ${(error as Error).message}`;
    }
    await sleep(POLL_INTERVAL_MS);
  } while (performance.now() < deadline);
  throw new Error(`waited ${timeoutMs} ms for ${what}${reason}`);
}

function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
