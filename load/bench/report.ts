// What every benchmark's report needs: where it ran, tables, and how a command that makes no sense is refused.
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

export type Columns<Row> = readonly (readonly [title: string, cell: (row: Row) => string])[];

/** Markdown; all but the first column are numbers. */
export function table<Row>(columns: Columns<Row>, rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns.map(([title]) => title)),
    line(columns.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row)))),
  ].join("\n");
}

/** Linux: it reads /proc. */
export function machine(): string {
  const load = readFileSync("/proc/loadavg", "utf8").split(" ")[0];
  return `${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, Node ${process.version}, system load ${load} at the start`;
}

export function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(64);
}
