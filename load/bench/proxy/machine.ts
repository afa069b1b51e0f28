// What the benchmark needs of the machine: processes kept to given cores, and the processor time the kernel counted for
// them. Linux only: other systems neither pin so nor have /proc.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that Node runs on. */
const TICKS_PER_S = 100;
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 20;
/** After SIGTERM; then SIGKILL. */
const STOP_TIMEOUT_MS = 5_000;

/** Lists as taskset takes them: the proxy has a core to itself, all else shares the others. */
export interface Cores {
  proxy: string;
  others: string;
}

/** @throws saying what is missing */
export function divideCores(): Cores {
  if (process.platform !== "linux")
    throw new Error("this benchmark runs on Linux only: it needs taskset and /proc");
  if (!isInstalled("taskset")) throw new Error("taskset is missing: apt-get install util-linux");
  const cores = availableParallelism();
  if (cores < 2) throw new Error("two cores are needed: one for the proxy, one for load and backends");
  return { proxy: String(cores - 1), others: cores === 2 ? "0" : `0-${cores - 2}` };
}

export function isInstalled(program: string): boolean {
  try {
    execFileSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** All threads of a running process. */
export function pin(pid: number, cores: string): void {
  execFileSync("taskset", ["-a", "-c", "-p", cores, String(pid)], { stdio: "ignore" });
}

export interface Directory {
  path: string;
  remove(): void;
}

/** Readable by everyone: nginx started by root has workers that are not. */
export function temporaryDirectory(): Directory {
  const path = mkdtempSync(join(tmpdir(), "evenkeel-bench-"));
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Started {
  pid: number;
  child: ChildProcess;
  stop(): Promise<void>;
}

/** A process that keeps to these cores with all it starts. Its errors are shown. */
export function startPinned(cores: string, program: string, args: readonly string[]): Started {
  const child = spawn("taskset", ["-c", cores, program, ...args], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = once(child, "exit");
  return {
    pid: child.pid as number, // taskset becomes the program
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** @throws when nothing listens there in time */
export async function listening(port: number): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    const socket = connect(port, "127.0.0.1");
    const open = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await sleep(READY_POLL_MS);
  }
  throw new Error(`nothing listens on port ${port} after ${READY_TIMEOUT_MS} ms`);
}

/** µs of user and system time so far, of a process and all that descend from it. */
export const cpuUs = (root: number): number =>
  (familyOf(root).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_S) * 1e6;

interface Stat {
  pid: number;
  parent: number;
  ticks: number;
}

/** A process and all that descend from it. */
export function familyOf(root: number): Stat[] {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((one) => one !== null);
  const family = new Set([root]);
  for (let before = 0; before !== family.size; ) {
    before = family.size;
    for (const { pid, parent } of processes) if (family.has(parent)) family.add(pid);
  }
  return processes.filter(({ pid }) => family.has(pid));
}

/** Null for a process that is gone. */
function statOf(name: string): Stat | null {
  try {
    const text = readFileSync(`/proc/${name}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" "); // from the third on; the second may hold blanks
    return { pid: Number(name), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return null;
  }
}
