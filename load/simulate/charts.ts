// The three charts: p99 against the number of gateways, p99 against load, a newcomer's share after it joined.
import { type Chart, drawChart, type Line, type Role } from "./chart.ts";
import type { Contender } from "./engine.ts";
import { CHART_GATEWAYS, CHART_LOADS, type Row, type Scenario } from "./scenarios.ts";
import type { ResultOf } from "./tables.ts";

const ROLES: Record<Contender["by"], Role> = {
  "shared-count": "ours",
  "per-replica": "others",
  "central-queue": "bound",
};

const P99_TICKS_MS = [200, 300, 400, 500, 700, 1_000, 1_500];

/** File name → SVG. */
export function drawCharts(all: readonly Scenario[], resultOf: ResultOf): Map<string, string> {
  const charts: [string, string, (scenario: Scenario, resultOf: ResultOf) => Chart][] = [
    ["latency-by-gateways.svg", "gateways", byGateways],
    ["latency-by-load.svg", "load", byLoad],
    ["share-of-a-newcomer.svg", "join", byAge],
  ];
  const files = new Map<string, string>();
  for (const [file, name, chartOf] of charts) {
    const scenario = all.find((s) => s.name === name);
    if (scenario) files.set(file, drawChart(chartOf(scenario, resultOf)));
  }
  return files;
}

function byGateways(scenario: Scenario, resultOf: ResultOf): Chart {
  const p99 = (row: Row) => resultOf(row.cell).figures.p99Ms;
  return {
    title: "p99 of response time against the number of gateways (40 unequal backends, load 0.85)",
    x: { title: "gateways", ticks: CHART_GATEWAYS, scale: "log" },
    y: { title: "p99, ms", ticks: P99_TICKS_MS, scale: "log" },
    lines: linesOf(scenario, (rows) =>
      rows.flatMap((row) =>
        (row.gateways === null ? CHART_GATEWAYS : [row.gateways]).map((x) => ({ x, y: p99(row) })),
      ),
    ),
  };
}

function byLoad(scenario: Scenario, resultOf: ResultOf): Chart {
  return {
    title: "p99 of response time against load (40 unequal backends, 16 gateways)",
    x: { title: "load, share of what the backends can do", ticks: CHART_LOADS, scale: "linear" },
    y: { title: "p99, ms", ticks: P99_TICKS_MS, scale: "log" },
    lines: linesOf(scenario, (rows) =>
      rows.map((row) => ({ x: Number(row.group.replace("load ", "")), y: resultOf(row.cell).figures.p99Ms })),
    ),
  };
}

function byAge(scenario: Scenario, resultOf: ResultOf): Chart {
  return {
    title: "Share of new connections that a 21st backend gets after joining 20 busy ones",
    x: {
      title: "seconds since it joined",
      ticks: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50],
      scale: "log",
    },
    y: {
      title: "its share ÷ the fair share",
      ticks: [0.1, 0.2, 0.5, 1, 2, 5, 10, 21],
      scale: "log",
      label: (tick) => `${tick} ×`,
    },
    lines: linesOf(scenario, (rows) =>
      rows.flatMap(({ cell }) =>
        resultOf(cell).newcomer.map(({ toMs, share }) => ({
          x: toMs / 1_000,
          y: share * cell.scene.backends.length,
        })),
      ),
    ),
  };
}

function linesOf({ rows }: Scenario, points: (rows: Row[]) => Line["points"]): Line[] {
  const contenders = Map.groupBy(rows, ({ cell }) => cell.contender.name);
  return [...contenders].map(([name, its]) => ({
    name,
    role: ROLES[(its[0] as Row).cell.contender.by],
    points: points(its),
  }));
}
