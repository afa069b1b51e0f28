// A Redis server that is installed here: on PATH or where system packages put it.
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { isNewEnough } from "./probe.ts";

const NAMES = ["redis-server", "valkey-server"];
/** Often missing from the PATH of ordinary users. */
const SYSTEM_DIRECTORIES = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
const VERSION_TIMEOUT_MS = 5_000;

/** Path of the first one that is new enough, else null. */
export async function findRedisServer(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string | null> {
  for (const name of NAMES) {
    const path = await findExecutable(name, env);
    if (path === null) continue;
    const version = await versionOf(path);
    if (isNewEnough(version)) return path;
    say(`${path} is version ${version || "unknown"}, too old: Evenkeel needs Redis 7.0 or later`);
  }
  return null;
}

export async function findExecutable(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const directories = [...(env.PATH ?? "").split(delimiter).filter(Boolean), ...SYSTEM_DIRECTORIES];
  for (const directory of directories) {
    const path = join(directory, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return null;
}

/** `Redis server v=7.0.15 …`, `Valkey server v=8.0.1 …`; "" when it cannot be run. */
async function versionOf(path: string): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run(path, ["--version"], { timeout: VERSION_TIMEOUT_MS }).catch(() => ({
    stdout: "",
  }));
  return /v=(\S+)/.exec(stdout)?.[1] ?? "";
}
