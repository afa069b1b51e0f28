// Redis servers of a test's own, with any arguments: they keep to loopback and to one directory, can be killed as a
// machine dies, and never outlive the test process.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { findRedisServer } from "../../libs/cli/redis/find.ts";
import { probeRedis } from "../../libs/cli/redis/probe.ts";

const START_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 5_000;

/** Null where the tests' Redis runs elsewhere and this machine has no program to start. */
export const redisExecutable = await findRedisServer(process.env, () => {});

/** Behind the name of what is skipped for it. */
export const WHY_SKIPPED =
  redisExecutable === null ? " (skipped: the tests' Redis runs elsewhere, and here is none to start)" : "";

export interface RedisProcess {
  port: number;
  /** For the test's own questions; to the process as it is, whatever role it has. */
  client: Redis;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export interface RedisNursery {
  directory: string;
  /** @param args of redis-server; a configuration file comes first */
  start(port: number, ...args: string[]): Promise<RedisProcess>;
  /** Kills all that was started. */
  stop(): Promise<void>;
}

export async function openNursery(): Promise<RedisNursery> {
  const directory = await mkdtemp(join(tmpdir(), "evenkeel-topology-"));
  const started: RedisProcess[] = [];
  return {
    directory,
    async start(port, ...args) {
      const one = await startProcess(directory, port, args);
      started.push(one);
      return one;
    },
    async stop() {
      await Promise.all(started.map((one) => one.kill()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function startProcess(directory: string, port: number, args: string[]): Promise<RedisProcess> {
  const common = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--loglevel", "warning"];
  const child = spawn(redisExecutable as string, [...args, ...common], { stdio: "ignore" });
  const exited = once(child, "exit").catch(() => {});
  const watcher = endWithParent(child);
  const gone = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const client = new Redis(port, "127.0.0.1", { lazyConnect: true, commandTimeout: COMMAND_TIMEOUT_MS });
  client.on("error", () => {}); // killed on purpose
  const kill = async () => {
    client.disconnect();
    child.kill("SIGKILL");
    await exited;
    watcher.kill("SIGKILL");
  };
  try {
    await probeRedis(`redis://127.0.0.1:${port}`, { timeoutMs: START_TIMEOUT_MS, gone });
  } catch (error) {
    await kill();
    throw error;
  }
  return { port, client, kill };
}

/** A shell waits on a pipe that only this process holds: when it breaks, the shell ends the server. */
function endWithParent(child: ChildProcess): ChildProcess {
  const watcher = spawn("sh", ["-c", 'read -r _; kill -9 "$1"', "watcher", String(child.pid ?? "")], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.on("error", () => {});
  watcher.unref();
  return watcher;
}
