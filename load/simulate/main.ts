// npm run simulate [-- --quick] [-- --only NAME …]
//
// Simulates what docs/simulation.md describes, prints the tables, and writes them and the charts there. --quick runs
// each cell once and shortly; it and --only print, and write nothing.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { drawCharts } from "./charts.ts";
import { measureAll } from "./farm.ts";
import { reported, section } from "./report.ts";
import { FULL, QUICK, type Scenario, scenarios } from "./scenarios.ts";
import type { ResultOf } from "./tables.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const PAGE = join(DOCS, "simulation.md");
const PROGRESS_EVERY_MS = 2_000;

async function main(args: string[]): Promise<number> {
  const values = parsed(args);
  if (!values) {
    process.stderr.write("usage: npm run simulate [-- --quick] [-- --only NAME …]\n");
    return 64;
  }
  const all = scenarios(values.quick ? QUICK : FULL);
  const unknown = values.only?.filter((name) => !all.some((s) => s.name === name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(
      `no such scenario: ${unknown.join(", ")}; there are ${all.map((s) => s.name).join(", ")}\n`,
    );
    return 64;
  }
  const chosen = all.filter(({ name }) => values.only?.includes(name) ?? true);
  const startedMs = performance.now();
  const resultOf = await measureAll(
    chosen.flatMap(({ rows }) => rows.map(({ cell }) => cell)),
    progress(startedMs),
  );
  for (const scenario of chosen) process.stdout.write(`\n${section(scenario, resultOf)}\n`);
  process.stdout.write(`\n${((performance.now() - startedMs) / 1_000).toFixed(0)} s\n`);
  if (!values.quick && !values.only) write(chosen, resultOf);
  return 0;
}

function parsed(args: string[]) {
  const options = {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch {
    return null;
  }
}

function progress(startedMs: number): (done: number, all: number) => void {
  let saidMs = startedMs;
  return (done, all) => {
    const nowMs = performance.now();
    if (nowMs - saidMs < PROGRESS_EVERY_MS && done < all) return;
    saidMs = nowMs;
    process.stderr.write(`${done} of ${all} cells, ${((nowMs - startedMs) / 1_000).toFixed(0)} s\n`);
  };
}

function write(all: readonly Scenario[], resultOf: ResultOf): void {
  mkdirSync(join(DOCS, "charts"), { recursive: true });
  for (const [file, svg] of drawCharts(all, resultOf)) writeFileSync(join(DOCS, "charts", file), svg);
  writeFileSync(PAGE, reported(readFileSync(PAGE, "utf8"), all, resultOf));
  process.stdout.write(`written: docs/simulation.md, docs/charts\n`);
}

process.exitCode = await main(process.argv.slice(2));
