// Installing Redis with the system's package manager, where that is permitted without a question: as root, or by
// sudo without a password. Only the program is wanted, so the service that comes with the package is kept from starting.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { findExecutable } from "./find.ts";

const INSTALL_TIMEOUT_MS = 240_000;
const SUDO_TIMEOUT_MS = 5_000;

interface PackageManager {
  executable: string;
  script: string;
}

/** A policy-rc.d that answers 101 tells Debian's packages not to start services; ours lasts as long as the script. */
const APT = `
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$policy" && chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=60 redis-server`;

const MANAGERS: PackageManager[] = [
  { executable: "apt-get", script: APT },
  { executable: "apk", script: "apk add --no-cache redis" },
  { executable: "dnf", script: "dnf install -y redis || dnf install -y valkey" },
];

/** True when a package manager has installed it. Never asks for a password. */
export async function installRedis(env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<boolean> {
  const root = await rootCommand(env);
  if (root === null) return false;
  for (const { executable, script } of MANAGERS) {
    if ((await findExecutable(executable, env)) === null) continue;
    say(`no Redis on this machine: installing it with ${executable} (its service is not started) …`);
    const code = await run([...root, "sh", "-c", script], INSTALL_TIMEOUT_MS, (line) =>
      say(`  ${executable}: ${line}`),
    );
    say(code === 0 ? "Redis is installed" : `${executable} could not install Redis`);
    return code === 0;
  }
  return false;
}

/** What to put before a command so that it runs as root; null when that is not permitted. */
async function rootCommand(env: NodeJS.ProcessEnv): Promise<string[] | null> {
  if (process.getuid?.() === 0) return [];
  const sudo = await findExecutable("sudo", env);
  if (sudo === null) return null;
  const code = await run([sudo, "-n", "true"], SUDO_TIMEOUT_MS, () => {});
  return code === 0 ? [sudo, "-n"] : null;
}

async function run(command: string[], timeoutMs: number, say: (line: string) => void): Promise<number> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs });
  const lines = (chunk: Buffer) => {
    for (const line of chunk.toString().split("\n")) if (line.trim() !== "") say(line.trimEnd());
  };
  child.stdout.on("data", lines);
  child.stderr.on("data", lines);
  const [code] = await once(child, "exit").catch(() => [1]);
  return code ?? 1;
}
