// `npm test`: everything that has to hold, one step after the other; stops at the first that does not. Arguments go to
// vitest. Its summary is the last thing printed when all is well.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BIN = fileURLToPath(new URL("../node_modules/.bin", import.meta.url));

/** All but `compose`, which needs a Docker Engine. */
const PROJECTS = ["unit", "redis", "e2e"].flatMap((name) => ["--project", name]);

interface Step {
  what: string;
  command: readonly string[];
}

const STEPS: readonly Step[] = [
  { what: "format and lint", command: ["biome", "check", "."] },
  { what: "types", command: ["tsc"] },
  { what: "tests", command: ["vitest", "run", ...PROJECTS, ...process.argv.slice(2)] },
];

const say = (line: string) => process.stdout.write(`\n── ${line}\n`);

async function runStep({ what, command: [program = "", ...args] }: Step): Promise<number> {
  const env = { ...process.env, PATH: `${BIN}:${process.env.PATH}` };
  const child = spawn(program, args, { cwd: ROOT, env, stdio: "inherit" });
  child.on("error", (error) => process.stderr.write(`${what}: cannot run ${program}: ${error.message}\n`));
  const [code] = await once(child, "exit").catch(() => [1]);
  return code ?? 1;
}

async function main(): Promise<number> {
  for (const [i, step] of STEPS.entries()) {
    say(`[${i + 1}/${STEPS.length}] ${step.what}: ${step.command.join(" ")}`);
    const code = await runStep(step);
    if (code === 0) continue;
    say(`${step.what} failed (exit code ${code}); later steps were not run`);
    return code;
  }
  return 0;
}

process.exitCode = await main();
