// The command line as a process: what it says and how it ends when nothing can be started.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../examples/minimal.yaml", import.meta.url));
const TIMEOUT_MS = 10_000;

function evenkeel(env: NodeJS.ProcessEnv, ...args: string[]): Promise<{ code: number; err: string }> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env }, timeout: TIMEOUT_MS };
    execFile(process.execPath, [MAIN, ...args], options, (error, _, err) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, err }),
    );
  });
}

test.each([[["up", "--config", CONFIG]], [["demo"]]])(
  "%j names every fault of its environment before it starts anything",
  async (args) => {
    const env = { EVENKEEL_LOG_LEVEL: "bogus", EVENKEEL_DRAIN_DEADLINE_MS: "abc" };
    const { code, err } = await evenkeel(env, ...args);
    expect(code).toBe(2);
    expect(err.trimEnd().split("\n")).toEqual([
      expect.stringContaining("EVENKEEL_DRAIN_DEADLINE_MS must be a whole number"),
      expect.stringContaining("EVENKEEL_LOG_LEVEL must be one of trace,"),
    ]);
  },
);
