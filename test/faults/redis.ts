// The real Redis of the cluster under test: it writes every change to a file before it answers, so that a kill loses
// nothing, and can come back with its data or without.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { probeRedis } from "../../libs/cli/redis/probe.ts";
import type { Reaper } from "./processes.ts";

const START_TIMEOUT_MS = 10_000;

export interface RealRedis {
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** To be used between `kill` and `start`. */
  forget(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** @param directory for its data, and for nothing else */
export function createRedis(program: string, port: number, directory: string, reaper: Reaper): RealRedis {
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--loglevel", "warning"];
  const durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""];
  let child: ChildProcess | null = null;

  const gone = () => child === null || child.exitCode !== null || child.signalCode !== null;
  const kill = async () => {
    if (child === null || gone()) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  const forget = () => rm(join(directory, "appendonlydir"), { recursive: true, force: true });
  const start = async () => {
    const started = spawn(program, [...args, ...durable], { stdio: "ignore", detached: true });
    child = started;
    const pid = started.pid as number;
    reaper.add(pid);
    started.once("exit", () => reaper.remove(pid));
    await probeRedis(`redis://127.0.0.1:${port}`, { timeoutMs: START_TIMEOUT_MS, gone });
  };
  return {
    ...{ port, kill, start, forget },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
  };
}
