// `npm run test:faults`: random fault sequences against a real cluster, each judged by the checker.
// Options: --sequences 200, --seed N (of the first; the others follow), --only SEED (again, alone).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findRedisServer } from "../../libs/cli/redis/find.ts";
import { startReaper } from "./processes.ts";
import { runSequences } from "./run.ts";

const OPTIONS = {
  sequences: { type: "string", default: "200" },
  seed: { type: "string", default: "1" },
  only: { type: "string" },
} as const;

const say = (line: string) => process.stdout.write(`${line}\n`);

/** @throws naming the option that will not do */
function seedsOf(args: string[]): number[] {
  const { values } = parseArgs({ args, options: OPTIONS });
  for (const [name, text] of Object.entries(values))
    if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number, got "${text}"`);
  if (values.only !== undefined) return [Number(values.only)];
  return Array.from({ length: Number(values.sequences) }, (_, n) => Number(values.seed) + n);
}

async function main(): Promise<number> {
  let seeds: number[];
  try {
    seeds = seedsOf(process.argv.slice(2));
  } catch (error) {
    say((error as Error).message);
    return 2;
  }
  const program = await findRedisServer(process.env, say);
  if (program === null) {
    say(
      "no redis-server or valkey-server was found: the sequences kill theirs, so they need one of their own",
    );
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), "evenkeel-faults-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const failed = await runSequences({ program, directory, reaper: startReaper(), seeds, say });
  return failed === 0 ? 0 : 1;
}

// What was started ends with this process, frozen or not (see `startReaper`).
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
process.exit(await main());
