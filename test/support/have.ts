// Tests that need a program of this machine: where it is missing they are skipped, and their names say why.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { it } from "vitest";

const VERSION_TIMEOUT_MS = 10_000;

/** Where a program is on PATH; null: nowhere. */
export function find(program: string): string | null {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {} // not here
  }
  return null;
}

export const missing = (...programs: string[]): boolean => programs.some((program) => find(program) === null);

/** `it` for tests that run these programs. */
export function itWith(...programs: string[]) {
  const away = programs.filter((program) => missing(program));
  return itUnless(away.length > 0 && `no ${away.join(", no ")} on this machine`);
}

/** `it` unless there is a reason to skip, which becomes part of the name. */
export function itUnless(reason: string | false) {
  return (name: string, test: () => Promise<void>, timeoutMs?: number) =>
    it.skipIf(reason !== false)(reason === false ? name : `${name} (skipped: ${reason})`, test, timeoutMs);
}

/** Whether a program says of itself that it can do something. */
export function says(program: string, args: string[], expected: RegExp): boolean {
  const path = find(program);
  if (path === null) return false;
  const { stdout, stderr } = spawnSync(path, args, { encoding: "utf8", timeout: VERSION_TIMEOUT_MS });
  return expected.test(`${stdout}${stderr}`);
}

/** Why the curl of this machine will not do: the tests speak HTTP/2. False: it will. */
export const noCurl: string | false =
  !says("curl", ["--version"], /^Features:.*\bHTTP2\b/m) && "no curl with HTTP/2 on this machine";
