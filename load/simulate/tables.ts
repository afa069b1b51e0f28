// Results as aligned Markdown tables, which a terminal shows as well as a document does.
import type { Cell, Result } from "./cell.ts";
import type { Row, Scenario } from "./scenarios.ts";

export type ResultOf = (cell: Cell) => Result;

/** From here on queues grow for as long as the run lasts, and figures say only that. */
const GROWS_FROM = 1.5;
/** A p99 noisier than this is marked where its noise is not shown. */
const NOISY_FROM = 0.03;

/** Gateways across, contenders down, p99 and its ratio to the bound in each place; a part per group. */
export function matrix({ rows }: Scenario, resultOf: ResultOf): string {
  return groupsOf(rows)
    .map((group) => {
      const counts = [...new Set(group.flatMap(({ gateways }) => gateways ?? []))];
      const names = [...new Set(group.map(({ cell }) => cell.contender.name))];
      const at = (name: string, n: number) =>
        group.find((r) => r.cell.contender.name === name && (r.gateways ?? n) === n);
      const body = names.map((name) => [
        name,
        ...counts.map((n) => {
          const row = at(name, n);
          return row ? placeOf(row, group, resultOf) : "";
        }),
      ]);
      return aligned([[`${group[0]?.group}: p99, ms`, ...counts.map((n) => `N = ${n}`)], ...body]);
    })
    .join("\n\n");
}

function placeOf(row: Row, group: readonly Row[], resultOf: ResultOf): string {
  const result = resultOf(row.cell);
  const about = result.noise > NOISY_FROM ? "≈ " : "";
  return `${about}${ms(result.figures.p99Ms)}${mark(result)} (${ratio(row, group, resultOf)})`;
}

/** Every figure of every cell, a row each. */
export function full({ rows }: Scenario, resultOf: ResultOf): string {
  const head = ["who decides", "gateways", "mean", "p50", "p99", "p99.9", "p99 ÷ bound", "noise of p99"];
  return groupsOf(rows)
    .map((group) => {
      const body = group.map((row) => {
        const result = resultOf(row.cell);
        const { meanMs, p50Ms, p99Ms, p999Ms } = result.figures;
        const figures = [meanMs, p50Ms, p99Ms, p999Ms].map(ms);
        const noise = `± ${(100 * result.noise).toFixed(1)} %`;
        const name = row.cell.contender.name + mark(result);
        return [name, String(row.gateways ?? ""), ...figures, ratio(row, group, resultOf), noise];
      });
      return aligned([[`${group[0]?.group}: ${head[0]}`, ...head.slice(1)], ...body]);
    })
    .join("\n\n");
}

/** A newcomer's share of the new connections, in times its fair one. */
export function joining({ rows }: Scenario, resultOf: ResultOf): string {
  const stepsMs = [0, 100, 300, 1_000, 3_000, 10_000, 25_000, 40_000];
  const body = rows.map((row) => {
    const { newcomer } = resultOf(row.cell);
    const fair = 1 / row.cell.scene.backends.length;
    const shares = stepsMs.map((ms) => newcomer.find(({ toMs }) => toMs > ms)?.share ?? Number.NaN);
    return [row.cell.contender.name, ...shares.map((share) => `${(share / fair).toFixed(2)} ×`)];
  });
  return aligned([["its share ÷ the fair one, after", ...stepsMs.map((ms) => `${ms / 1_000} s`)], ...body]);
}

const mark = ({ growth }: Result) => (growth > GROWS_FROM ? " ↑" : "");

function ratio(row: Row, group: readonly Row[], resultOf: ResultOf): string {
  const bound = group.find(({ cell }) => cell.contender.by === "central-queue");
  if (!bound) return "";
  return (resultOf(row.cell).figures.p99Ms / resultOf(bound.cell).figures.p99Ms).toFixed(2);
}

function groupsOf(rows: readonly Row[]): Row[][] {
  return [...Map.groupBy(rows, ({ group }) => group).values()];
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

/** The first row is the head; the first column stands left, the others right. */
function aligned(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) => {
    const padded = row.map((text, i) =>
      i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  const [head = [], ...body] = cells;
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)].join("\n");
}
