// Real processes that can be killed, frozen and started again, and that never outlive this one, however it ends.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** On a machine that many share; a process that takes longer is taken for broken. */
const READY_TIMEOUT_MS = 20_000;
/** Longer than any service's own deadline under the settings of the cluster. */
const STOP_TIMEOUT_MS = 12_000;
/** Lines of each process's log that are kept, to be shown when a rule is violated. */
const LOG_LINES_KEPT = 300;

/** A shell that knows which processes run, and ends them, frozen or not, when the pipe to this process breaks. */
export interface Reaper {
  add(pid: number): void;
  remove(pid: number): void;
  stop(): void;
}

const REAP = `
pids=""
while read -r op pid; do
  if [ "$op" = + ]; then pids="$pids $pid"; else
    left=""
    for one in $pids; do [ "$one" = "$pid" ] || left="$left $one"; done
    pids="$left"
  fi
done
[ -z "$pids" ] || kill -9 $pids 2>/dev/null`;

export function startReaper(): Reaper {
  const shell = spawn("sh", ["-c", REAP], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.stdin.on("error", () => {});
  shell.unref();
  return {
    add: (pid) => void shell.stdin.write(`+ ${pid}\n`),
    remove: (pid) => void shell.stdin.write(`- ${pid}\n`),
    stop: () => void shell.stdin.end(),
  };
}

export interface RealProcess {
  readonly id: string;
  /** The last lines that it wrote. */
  log(): readonly string[];
  /** Resolves when it is ready. @throws when it is not in time, or ends before */
  start(): Promise<void>;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when it is gone. One that does not end in order is told of as a death. */
  stop(): Promise<void>;
  freeze(): void;
  thaw(): void;
  tell(message: object): void;
}

export interface ProcessOptions {
  id: string;
  script: URL;
  env: NodeJS.ProcessEnv;
  reaper: Reaper;
  /** All but the one that says that it is ready. */
  onMessage?: (message: object) => void;
  /** It ended and nobody had killed it, or did not end in order when it should. */
  onDeath: (how: string) => void;
}

/** A Node process that says `{ ready: true }` when it is. */
export function createProcess({ id, script, env, reaper, onMessage, onDeath }: ProcessOptions): RealProcess {
  const lines: string[] = [];
  let child: ChildProcess | null = null;
  let killing = false;

  const keep = (line: string) => {
    lines.push(line);
    if (lines.length > LOG_LINES_KEPT) lines.shift();
  };

  const launch = () => {
    // In a session of its own: Ctrl-C reaches this process only, which ends all.
    const next = fork(script, [], {
      ...{ env, execArgv: [], detached: true, stdio: ["ignore", "pipe", "pipe", "ipc"] },
    });
    const pid = next.pid as number;
    reaper.add(pid);
    next.once("exit", (code, signal) => {
      reaper.remove(pid);
      if (!killing) onDeath(`${id} ended by itself: ${signal ?? `exit code ${code}`}`);
    });
    for (const output of [next.stdout, next.stderr])
      createInterface({ input: output as NodeJS.ReadableStream }).on("line", keep);
    return next;
  };

  return {
    id,
    log: () => lines,
    async start() {
      killing = false;
      const started = launch();
      child = started;
      const ready = Promise.withResolvers<void>();
      const timer = setTimeout(
        () => ready.reject(new Error(`${id} was not ready within ${READY_TIMEOUT_MS} ms`)),
        READY_TIMEOUT_MS,
      );
      started.on("message", (message) => {
        if ((message as { ready?: boolean }).ready) ready.resolve();
        else onMessage?.(message as object);
      });
      started.once("exit", () =>
        ready.reject(new Error(`${id} ended before it was ready\n${lines.join("\n")}`)),
      );
      started.on("error", ready.reject);
      await ready.promise.finally(() => clearTimeout(timer));
    },
    async kill() {
      killing = true;
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      killing = true;
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_TIMEOUT_MS);
      const [code, signal] = await exited;
      clearTimeout(timer);
      if (code !== 0) onDeath(`${id} did not stop in order: ${signal ?? `exit code ${code}`}`);
    },
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
    tell: (message) => void child?.send(message, () => {}),
  };
}
