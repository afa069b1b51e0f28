// Backends in processes of their own (backend.ts), as the benchmark makes them misbehave. None outlives the benchmark.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import type { Behaviour, Said } from "./backend.ts";

/** Within which a process must say that it listens, or behaves as told, ms. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface FaultyBackend {
  /** 1, 2, … */
  number: number;
  id: string;
  url: string;
  /** Each answers when it took effect, ms since the epoch. */
  behave(behaviour: Behaviour): Promise<number>;
  /** SIGKILL. */
  kill(): Promise<number>;
  /** On its port. */
  restart(): Promise<number>;
  freeze(): Promise<number>;
  thaw(): Promise<number>;
  stop(): Promise<void>;
}

export const epochMs = (): number => performance.timeOrigin + performance.now();

export async function startFaultyBackend(number: number, serviceMs: number): Promise<FaultyBackend> {
  let port = 0;
  let child: ChildProcess;
  let exited: Promise<unknown>;
  let guard: ChildProcess | null = null;

  const said = async (what: string): Promise<number> => {
    const answer = once(child, "message", { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const early = exited.then(() => Promise.reject(new Error(`backend ${number} has ended`)));
    const [message] = (await Promise.race([answer, early]).catch((error) => {
      throw new Error(`backend ${number} did not ${what}: ${error.message}`);
    })) as [Said];
    port = message.port;
    return message.atMs;
  };
  const start = () => {
    const program = new URL("./backend.ts", import.meta.url);
    child = fork(program, [String(number), String(port), String(serviceMs)], { execArgv: [] });
    exited = once(child, "exit");
    return said("start");
  };
  const kill = async () => {
    const atMs = epochMs();
    child.kill("SIGKILL");
    await exited;
    guard?.kill("SIGKILL");
    guard = null;
    return atMs;
  };

  await start();
  return {
    number,
    id: `b${number}`,
    url: `http://127.0.0.1:${port}`,
    behave(behaviour) {
      child.send(behaviour);
      return said(`behave ${behaviour}`);
    },
    kill,
    restart: start,
    async freeze() {
      guard = endWithThisProcess(child);
      const atMs = epochMs();
      child.kill("SIGSTOP");
      return atMs;
    },
    async thaw() {
      const atMs = epochMs();
      child.kill("SIGCONT");
      guard?.kill("SIGKILL");
      guard = null;
      return atMs;
    },
    stop: async () => void (await kill()),
  };
}

/** What is frozen cannot see that its parent is gone: a shell waits on a pipe that only this process holds. */
function endWithThisProcess({ pid }: ChildProcess): ChildProcess {
  const shell = spawn("sh", ["-c", 'read -r _; kill -9 "$1"', "guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.on("error", () => {});
  shell.unref();
  return shell;
}
