// A Redis of one's own: a child process on loopback that keeps nothing on disk and never outlives its parent.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../supervisor/ports.ts";
import { probeRedis } from "./probe.ts";

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 3_000;
/** Somebody else may take the free port before Redis does. */
const START_ATTEMPTS = 3;

export interface RedisServer {
  url: string;
  pid: number;
  /** Resolves when the process is gone, asked or not. */
  exited: Promise<void>;
  stop(): Promise<void>;
}

/** @param port to listen on; left out, a free one is taken */
export async function startRedisServer(executable: string, port?: number): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOn(executable, port ?? (await freePort()));
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
}

async function startOn(executable: string, port: number): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), "evenkeel-redis-"));
  const child = spawn(executable, serverArguments(port, directory), { stdio: "ignore", detached: true });
  const exited = gone(child).then(() => rm(directory, { recursive: true, force: true }));
  const url = `redis://127.0.0.1:${port}`;
  const isGone = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  const watcher = endWithParent(child, directory);
  exited.then(() => watcher.kill("SIGKILL"));
  try {
    await probeRedis(url, { timeoutMs: START_TIMEOUT_MS, gone: isGone });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid as number, exited, stop };
}

const serverArguments = (port: number, directory: string): string[] => [
  ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--daemonize", "no"],
  ...["--save", "", "--appendonly", "no", "--loglevel", "warning"],
];

async function gone(child: ChildProcess): Promise<void> {
  await once(child, "exit").catch(() => {}); // an executable that cannot be run: "error"
}

/**
 * Redis would not notice that its parent was killed. A shell waits on a pipe that only the parent holds: when it
 * breaks, the shell ends Redis and removes its directory.
 */
function endWithParent(child: ChildProcess, directory: string): ChildProcess {
  const script = 'read -r _; kill "$1" && sleep 1; rm -rf "$2"';
  const watcher = spawn("sh", ["-c", script, "evenkeel-watcher", String(child.pid ?? ""), directory], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watcher.on("error", () => {});
  watcher.unref();
  return watcher;
}
