import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readClusterFile, recordCluster, removeClusterFile } from "./cluster-file.ts";

const OURS = { pid: process.pid, schedulers: ["http://127.0.0.1:20001"] };

let directory: string;
let said: string[];
const record = (content = OURS, where = directory) =>
  recordCluster(where, content, (line) => said.push(line));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "evenkeel-cluster-file-"));
  said = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid as number;
}

test("the file is there while the cluster runs, and nothing of it is left after", async () => {
  await record();
  expect(await readClusterFile(directory)).toEqual(OURS);
  await removeClusterFile(directory, OURS.pid);
  expect(await readdir(directory)).toEqual([]);
  expect(said).toEqual([]);
});

test("a second cluster leaves the first one's file, and says how to reach itself", async () => {
  await record();
  const second = { pid: await endedPid(), schedulers: ["http://127.0.0.1:20002"] };
  await record(second);
  expect(said.join("\n")).toContain(`pid ${OURS.pid}`);
  expect(said.join("\n")).toContain("--url http://127.0.0.1:20002");
  await removeClusterFile(directory, second.pid);
  expect(await readClusterFile(directory)).toEqual(OURS);
});

test("the file of a cluster that was killed is replaced", async () => {
  await record({ pid: await endedPid(), schedulers: ["http://127.0.0.1:20002"] });
  await record();
  expect(await readClusterFile(directory)).toEqual(OURS);
  expect(said).toEqual([]);
});

test("a file in the place of its directory is told, not thrown", async () => {
  await writeFile(join(directory, ".evenkeel"), "");
  await record();
  expect(said).toEqual([expect.stringMatching(/^cannot write .*needs --url http:\/\/127\.0\.0\.1:20001$/)]);
  await removeClusterFile(directory, OURS.pid);
});

test.runIf(process.platform === "linux")("below /proc the write fails at once", async () => {
  await record(OURS, "/proc");
  expect(said).toEqual([expect.stringContaining("cannot write")]);
});
