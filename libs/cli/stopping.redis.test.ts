// How `evenkeel up` ends: in order when whoever reads it has left, at once when nobody wants to wait. On real processes.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import { SAME_PRESS_MS } from "./interruption.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const BOUND = { timeout: 15_000, interval: 20 };

interface Ready {
  role: string;
  pid: number;
  url: string;
}

let directory: string;
let backend: Server;
let up: ChildProcess;
let said: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-stopping-"));
  backend = createServer(); // never answers
  backend.listen(0, "127.0.0.1");
  await once(backend, "listening");
});

afterEach(async () => {
  up.kill("SIGKILL");
  backend.closeAllConnections();
  backend.close();
  await rm(directory, { recursive: true, force: true });
});

/** Resolves when the cluster is ready. */
async function start(): Promise<Ready[]> {
  const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  const config = {
    listeners: [{ name: "web", protocol: "http", port: 0, address: "127.0.0.1" }],
    routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "app" }],
    pools: [{ name: "app", backends: [{ id: "b1", url }] }],
  };
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
  const flags = ["--config", "config.json", "--json", "--redis", inject("redisUrl")];
  const prefix = `stopping-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  up = spawn(process.execPath, [MAIN, "up", ...flags, "--prefix", prefix], {
    cwd: directory,
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "pipe"],
  });
  said = [];
  createInterface({ input: up.stderr as NodeJS.ReadableStream }).on("line", (line) => said.push(line));
  const processes: Ready[] = [];
  createInterface({ input: up.stdout as NodeJS.ReadableStream }).on("line", (line) =>
    processes.push(JSON.parse(line)),
  );
  await vi.waitFor(() => expect(processes.map(({ role }) => role)).toContain("cluster"), BOUND);
  return processes.filter(({ role }) => role !== "cluster");
}

const alive = ({ pid }: Ready): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const waitsFor = (line: string) =>
  vi.waitFor(() => expect(said).toContainEqual(expect.stringContaining(line)), BOUND);

test("a broken standard error stops the cluster in order", async () => {
  const processes = await start();
  up.stderr?.destroy();
  const [gateway] = processes.filter(({ role }) => role === "gateway");
  process.kill(gateway?.pid as number, "SIGKILL"); // gives it something to say
  expect(await once(up, "exit")).toEqual([0, null]);
  expect(processes.filter(alive)).toEqual([]);
  expect(await readdir(directory)).toEqual(["config.json"]);
});

test("the first Ctrl-C waits for requests in flight, the second ends them", async () => {
  const processes = await start();
  const url = processes.find(({ role }) => role === "gateway")?.url as string;
  const arrived = once(backend, "request");
  const waiting = request(url).end();
  const cut = once(waiting, "error");
  await arrived;
  up.kill("SIGINT");
  await waitsFor("waiting up to 30 s for requests in flight; Ctrl-C again stops at once");
  const exited = once(up, "exit");
  // Pressed until it counts: what comes within this time of the first is the same press.
  const pressing = setInterval(() => up.kill("SIGINT"), SAME_PRESS_MS / 4);
  expect(await exited).toEqual([1, null]);
  clearInterval(pressing);
  await cut;
  expect(processes.filter(alive)).toEqual([]);
});
