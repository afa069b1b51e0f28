import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ProcessPlan, type ReadyProcess, type Supervised, supervise } from "./supervise.ts";

const RUNTIME = new URL("../../runtime/life-cycle.ts", import.meta.url).href;
const BOUND = { timeout: 10_000, interval: 20 };

let directory: string;
let running: Supervised[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-supervise-"));
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await rm(directory, { recursive: true, force: true });
});

const REPORTS_READY =
  'process.send({ ready: true, url: "http://127.0.0.1:1" }); setInterval(() => {}, 1000);';

async function script(text: string): Promise<string> {
  const path = join(directory, "process.mjs");
  await writeFile(path, text);
  return path;
}

async function start(text: string, overrides: Partial<ProcessPlan> = {}) {
  const ready: ReadyProcess[] = [];
  const deaths: [number, string, number | null][] = [];
  const plan: ProcessPlan = {
    role: "gateway",
    id: "gateway-1",
    script: await script(text),
    env: process.env,
    stopTimeoutMs: 5_000,
    restartDelayMs: (n) => n,
    ...overrides,
  };
  const supervised = supervise(plan, {
    onReady: (process) => ready.push(process),
    onDeath: (_, pid, how, delayMs) => deaths.push([pid, how, delayMs]),
  });
  running.push(supervised);
  return { supervised, ready, deaths };
}

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a process that was killed is started again, and reported when it is ready again", async () => {
  const { supervised, ready, deaths } = await start(REPORTS_READY);
  const first = await supervised.firstReady;
  process.kill(first.pid, "SIGKILL");
  await vi.waitFor(() => expect(ready).toHaveLength(2), BOUND);
  expect(deaths).toEqual([[first.pid, "SIGKILL", 1]]);
  expect(ready[1]).toMatchObject({ role: "gateway", id: "gateway-1", url: "http://127.0.0.1:1" });
  expect(ready[1]?.pid).not.toBe(first.pid);
});

test("a process stays dead when it is not to be started again", async () => {
  const { supervised, ready, deaths } = await start(REPORTS_READY, { restartDelayMs: null });
  const { pid } = await supervised.firstReady;
  process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(deaths).toEqual([[pid, "SIGKILL", null]]), BOUND);
  expect(ready).toHaveLength(1);
});

test("a process that ends before it was ever ready fails the start", async () => {
  const { supervised, deaths } = await start("process.exit(7)");
  await expect(supervised.firstReady).rejects.toThrow("gateway-1 ended before it was ready (exit code 7)");
  expect(deaths).toEqual([]);
});

test("stopping ends the process without calling it a death", async () => {
  const { supervised, deaths } = await start(REPORTS_READY);
  const { pid } = await supervised.firstReady;
  await supervised.stop();
  expect(alive(pid)).toBe(false);
  expect(deaths).toEqual([]);
});

test("a process that does not heed SIGTERM is killed at the deadline", async () => {
  const text = `process.on("SIGTERM", () => {}); ${REPORTS_READY}`;
  const { supervised } = await start(text, { stopTimeoutMs: 50 });
  const { pid } = await supervised.firstReady;
  await supervised.stop();
  expect(alive(pid)).toBe(false);
});

test("a process that takes its time is killed as soon as nobody wants to wait", async () => {
  const text = `process.on("SIGTERM", () => {}); ${REPORTS_READY}`;
  const { supervised } = await start(text, { stopTimeoutMs: 600_000 });
  const { pid } = await supervised.firstReady;
  const force = new AbortController();
  const stopped = supervised.stop(force.signal);
  force.abort();
  await stopped;
  expect(alive(pid)).toBe(false);
});

test("a service stops in order when its parent is gone", async () => {
  const path = await script(`
    import { reportReady, runService } from ${JSON.stringify(RUNTIME)};
    const log = { info() {}, error() {}, fatal() {} };
    await runService(async () => ({ log, stopDeadlineMs: 5000, stop: async () => process.exit(42) }));
    reportReady({ url: "", adminUrl: "" });
    setInterval(() => {}, 1000);`);
  const child = fork(path, [], { execArgv: [] });
  await once(child, "message");
  child.disconnect();
  expect(await once(child, "exit")).toEqual([42, null]);
});
