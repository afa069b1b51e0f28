import { describe, expect, it } from "vitest";
import type { Cell, Result } from "./cell.ts";
import { drawChart } from "./chart.ts";
import { drawCharts } from "./charts.ts";
import { reported } from "./report.ts";
import { QUICK, scenarios } from "./scenarios.ts";
import { full, joining, matrix } from "./tables.ts";

/** Figures that show where they came from: 100 ms for the bound, 150 ms for all others. */
const resultOf = ({ contender, scene }: Cell): Result => {
  const ms = contender.by === "central-queue" ? 100 : 150;
  return {
    figures: { meanMs: ms / 10, p50Ms: ms / 20, p99Ms: ms, p999Ms: 2 * ms },
    noise: 0.01,
    growth: contender.name.includes("round robin") ? 2 : 1,
    requests: 1_000,
    refused: 0,
    newcomer: [{ fromMs: 0, toMs: 50_000, share: 2 / scene.backends.length }],
  };
};

const all = scenarios(QUICK);
const named = (name: string) => {
  const scenario = all.find((s) => s.name === name);
  if (!scenario) throw new Error(name);
  return scenario;
};

describe("the tables", () => {
  it("compare each cell with the bound of its own load", () => {
    expect(matrix(named("weighted"), resultOf)).toContain("100 (1.00)");
    expect(matrix(named("weighted"), resultOf)).toContain("150 (1.50)");
    expect(full(named("even"), resultOf)).toMatch(
      /shared least-connections.* 16 \| 15\.0 \| 7\.50 \| 150 \|\s+300 \|\s+1\.50 /,
    );
  });

  it("mark where queues grow for as long as the run lasts", () => {
    const marked = full(named("lame"), resultOf)
      .split("\n")
      .filter((line) => line.includes("↑"));
    expect(marked).toHaveLength(2);
    for (const line of marked) expect(line).toContain("round robin");
  });

  it("show a newcomer's share in times its fair one", () => {
    expect(joining(named("join"), resultOf)).toContain("| 2.00 × |");
  });

  it("are aligned", () => {
    for (const table of [full(named("even"), resultOf), joining(named("join"), resultOf)]) {
      for (const part of table.split("\n\n"))
        expect(new Set(part.split("\n").map((line) => line.length)).size).toBe(1);
    }
  });

  it("are written between the marks of the page, and nowhere else", () => {
    const begin = "<!-- measured: written by `npm run simulate` -->";
    const end = "<!-- end of what was measured -->";
    const page = reported(`before\n${begin}\nof yesteryear\n${end}\nafter\n`, all, resultOf);
    expect(page.startsWith(`before\n${begin}\n`)).toBe(true);
    expect(page.endsWith(`${end}\nafter\n`)).toBe(true);
    expect(page).not.toContain("yesteryear");
    for (const { title } of all) expect(page).toContain(`### ${title}`);
    expect(reported(page, all, resultOf)).toBe(page);
    expect(() => reported("no marks", all, resultOf)).toThrow("must hold");
  });
});

describe("the charts", () => {
  it("are drawn from their scenarios, with every line in the legend", () => {
    const charts = drawCharts(all, resultOf);
    expect([...charts.keys()]).toEqual([
      "latency-by-gateways.svg",
      "latency-by-load.svg",
      "share-of-a-newcomer.svg",
    ]);
    for (const { cell } of named("gateways").rows)
      expect(charts.get("latency-by-gateways.svg")).toContain(`>${cell.contender.name}<`);
  });

  it("load nothing from elsewhere and follow the reader's light or dark setting", () => {
    for (const svg of drawCharts(all, resultOf).values()) {
      expect(svg.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|<script|@import|url\(/);
      expect(svg).toContain("prefers-color-scheme:dark");
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  it("put points where the axes say, and keep what lies outside at their ends", () => {
    const svg = drawChart({
      title: "a < b",
      x: { title: "x", ticks: [1, 10, 100], scale: "log" },
      y: { title: "y", ticks: [0, 10], scale: "linear" },
      lines: [
        {
          name: "line",
          role: "ours",
          points: [
            { x: 1, y: 0 },
            { x: 10, y: 5 },
            { x: 100, y: 99 },
            { x: 1_000, y: 5 },
          ],
        },
      ],
    });
    expect(svg).toContain('points="70.0,380.0 455.0,214.0 840.0,48.0"');
    expect(svg).toContain("a &lt; b");
  });
});
