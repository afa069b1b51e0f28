// One process under supervision: started, heard when it says that it is ready, started again when it dies unasked,
// stopped within a deadline. Processes stop with their parent: their IPC channel ends with it (see `runService`).
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { deathsInRow } from "./back-off.ts";

const FIRST_READY_TIMEOUT_MS = 60_000;

export type ProcessRole = "gateway" | "scheduler" | "health-monitor" | "backend";

export interface ProcessPlan {
  role: ProcessRole;
  id: string;
  script: string;
  env: NodeJS.ProcessEnv;
  /** Longest wait after SIGTERM before SIGKILL. */
  stopTimeoutMs: number;
  /** Wait before it is started again after so many deaths in a row; null: it is not. */
  restartDelayMs: ((deaths: number) => number) | null;
}

export interface ReadyProcess {
  role: string;
  id: string;
  pid: number;
  url: string;
  adminUrl?: string;
}

export interface Observer {
  /** The first time, and again after every restart. */
  onReady(process: ReadyProcess): void;
  /** @param delayMs until it is started again, null when it is not */
  onDeath(plan: ProcessPlan, pid: number, how: string, delayMs: number | null): void;
}

export interface Supervised {
  readonly plan: ProcessPlan;
  /** @throws when it dies before it was ever ready, or takes too long */
  firstReady: Promise<ReadyProcess>;
  /** @param force aborted: it need not stop in order any more */
  stop(force?: AbortSignal): Promise<void>;
}

export function supervise(plan: ProcessPlan, observer: Observer): Supervised {
  const first = Promise.withResolvers<ReadyProcess>();
  first.promise.catch(() => {}); // whoever waits is told; nobody needs to
  const tooLate = new Error(`${plan.id} did not become ready within ${FIRST_READY_TIMEOUT_MS / 1_000} s`);
  const timer = setTimeout(() => first.reject(tooLate), FIRST_READY_TIMEOUT_MS);
  let child: ChildProcess;
  let restart: NodeJS.Timeout | undefined;
  let everReady = false;
  let stopping = false;
  let deaths = 0;

  const start = () => {
    const startedAt = performance.now();
    child = launch(plan);
    child.on("message", (message) => {
      if (!isReadyReport(message)) return;
      clearTimeout(timer);
      everReady = true;
      const { url, adminUrl } = message;
      const ready = { role: plan.role, id: plan.id, pid: child.pid as number, url, adminUrl };
      first.resolve(ready);
      if (!stopping) observer.onReady(ready);
    });
    child.once("exit", (code, signal) => died(child.pid as number, signal ?? `exit code ${code}`, startedAt));
    child.once("error", (error) => first.reject(error));
  };

  const died = (pid: number, how: string, startedAt: number) => {
    if (stopping) return;
    if (!everReady) {
      clearTimeout(timer);
      first.reject(new Error(`${plan.id} ended before it was ready (${how}); its log says why`));
      return;
    }
    deaths = deathsInRow(deaths, performance.now() - startedAt);
    const delayMs = plan.restartDelayMs?.(deaths) ?? null;
    observer.onDeath(plan, pid, how, delayMs);
    if (delayMs !== null) restart = setTimeout(start, delayMs);
  };

  start();
  return {
    plan,
    firstReady: first.promise,
    async stop(force) {
      stopping = true;
      clearTimeout(timer);
      clearTimeout(restart);
      await terminate(child, plan.stopTimeoutMs, force);
    },
  };
}

/** In a session of its own, so that Ctrl-C reaches only the parent, which stops everything in order. */
function launch({ script, env }: ProcessPlan): ChildProcess {
  return fork(script, [], { env, execArgv: [], detached: true, stdio: ["ignore", 2, 2, "ipc"] });
}

async function terminate(child: ChildProcess, timeoutMs: number, force?: AbortSignal): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  child.kill(force?.aborted ? "SIGKILL" : "SIGTERM");
  force?.addEventListener("abort", kill);
  const timer = setTimeout(kill, timeoutMs);
  await exited;
  clearTimeout(timer);
  force?.removeEventListener("abort", kill);
}

type ReadyReport = { ready: true; url: string; adminUrl: string };

function isReadyReport(message: unknown): message is ReadyReport {
  const { ready, url } = (message ?? {}) as Partial<ReadyReport>;
  return ready === true && typeof url === "string";
}
