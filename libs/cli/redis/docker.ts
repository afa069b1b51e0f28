// Redis in a container, for machines that have Docker but neither Redis nor the right to install it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { get } from "node:http";
import { freePort } from "../supervisor/ports.ts";
import { findExecutable } from "./find.ts";
import { probeRedis } from "./probe.ts";
import type { RedisServer } from "./server.ts";

export const REDIS_IMAGE = "redis:7-bookworm";
const DEFAULT_SOCKET = "/var/run/docker.sock";
const PING_TIMEOUT_MS = 2_000;
/** The image may have to be fetched first. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

/** Whether a Docker Engine answers, by the socket or the address that DOCKER_HOST names. */
export async function dockerAnswers(env: NodeJS.ProcessEnv): Promise<boolean> {
  const host = env.DOCKER_HOST || `unix://${DEFAULT_SOCKET}`;
  const socketPath = /^unix:\/\/(.+)$/.exec(host)?.[1];
  if (socketPath !== undefined && !existsSync(socketPath)) return false;
  const address = host.replace(/^tcp:/, "http:");
  if (socketPath === undefined && !address.startsWith("http:")) return false;
  const target = socketPath === undefined ? new URL("/_ping", address) : { socketPath, path: "/_ping" };
  return new Promise((resolve) => {
    const request = get({ ...urlOptions(target), timeout: PING_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
    request.on("close", () => resolve(false));
  });
}

const urlOptions = (target: URL | { socketPath: string; path: string }) =>
  target instanceof URL ? { host: target.hostname, port: target.port, path: target.pathname } : target;

/** Null when the `docker` command is not there. @throws when the container does not start */
export async function startRedisContainer(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<RedisServer | null> {
  const docker = await findExecutable("docker", env);
  if (docker === null) return null;
  say(`starting Redis in a container (${REDIS_IMAGE}) …`);
  const port = await freePort();
  const args = ["run", "--rm", "-i", "--publish", `127.0.0.1:${port}:6379`, REDIS_IMAGE];
  // Its standard input is a pipe from here: the shell inside ends Redis when that breaks, so none is left behind.
  const script =
    "redis-server --save '' --appendonly no --protected-mode no & pid=$!; cat > /dev/null; kill $pid; wait";
  const child = spawn(docker, [...args, "sh", "-c", script], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
  const exited = once(child, "exit").then(
    () => {},
    () => {},
  );
  const url = `redis://127.0.0.1:${port}`;
  const stop = () => stopContainer(child, exited);
  try {
    await probeRedis(url, { timeoutMs: START_TIMEOUT_MS, gone: () => child.exitCode !== null });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid as number, exited, stop };
}

async function stopContainer(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
