// A line chart as one SVG file: axes, labels, a legend, nothing loaded from elsewhere. It follows the reader's light or
// dark setting, and lines differ in dashes as well as in colour.

/** Ours stand out, the others are dashed, the bound is dotted. */
export type Role = "ours" | "others" | "bound";

export interface Line {
  name: string;
  role: Role;
  points: { x: number; y: number }[];
}

export interface Axis {
  title: string;
  /** Where it is labelled; the first and the last are its ends. */
  ticks: readonly number[];
  scale: "linear" | "log";
  label?(tick: number): string;
}

export interface Chart {
  title: string;
  x: Axis;
  y: Axis;
  lines: readonly Line[];
}

const WIDTH = 860;
const PLOT = { left: 70, top: 48, right: 840, bottom: 380 };
const LEGEND_LINE = 20;
const LEGEND_COLUMNS = 2;

/** In the order of the lines of that role; more lines than colours begin anew. */
const COLOURS: Record<Role, { light: string; dark: string }[]> = {
  ours: [
    { light: "#0b7a55", dark: "#4cd0a4" },
    { light: "#1f5fc4", dark: "#7fb0ff" },
    { light: "#b8860b", dark: "#f0d060" },
  ],
  others: [
    { light: "#c8553d", dark: "#f28b73" },
    { light: "#a8702a", dark: "#e2b165" },
    { light: "#8e3b8e", dark: "#d98ad9" },
    { light: "#3d7d8f", dark: "#7cc4d8" },
  ],
  bound: [{ light: "#57606a", dark: "#afb8c1" }],
};
const DASHES: Record<Role, string[]> = {
  ours: ["", "14 3", "6 2"],
  others: ["9 4", "9 4 2 4", "5 3", "2 3"],
  bound: ["1 4"],
};
const WIDTHS: Record<Role, number> = { ours: 3, others: 2, bound: 3 };

export function drawChart({ title, x, y, lines }: Chart): string {
  const toX = project(x, PLOT.left, PLOT.right);
  const toY = project(y, PLOT.bottom, PLOT.top);
  const height = PLOT.bottom + 60 + LEGEND_LINE * Math.ceil(lines.length / LEGEND_COLUMNS) + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    style(lines),
    `<rect class="back" width="${WIDTH}" height="${height}" rx="8"/>`,
    text(PLOT.left, 28, title, "title"),
    ...x.ticks.flatMap((tick) => [
      segment("grid", toX(tick), PLOT.top, toX(tick), PLOT.bottom),
      text(toX(tick), PLOT.bottom + 18, labelOf(x, tick), "middle"),
    ]),
    ...y.ticks.flatMap((tick) => [
      segment("grid", PLOT.left, toY(tick), PLOT.right, toY(tick)),
      text(PLOT.left - 8, toY(tick) + 4, labelOf(y, tick), "end"),
    ]),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 40, x.title, "middle"),
    `<g transform="rotate(-90)">${text(-(PLOT.top + PLOT.bottom) / 2, 18, y.title, "middle")}</g>`,
    ...lines.map((line, i) => drawLine(line, i, x, toX, toY)),
    ...lines.map(legendEntry),
    "</svg>\n",
  ].join("\n");
}

type Projection = (value: number) => number;

/** Values outside the axis are drawn at its end. */
function project({ ticks, scale }: Axis, from: number, to: number): Projection {
  const ease = scale === "log" ? Math.log : (value: number) => value;
  const first = ticks[0] as number;
  const last = ticks[ticks.length - 1] as number;
  return (value) => {
    const inside = Math.min(Math.max(value, first), last);
    return from + ((to - from) * (ease(inside) - ease(first))) / (ease(last) - ease(first));
  };
}

function drawLine({ points }: Line, i: number, x: Axis, toX: Projection, toY: Projection): string {
  const last = x.ticks[x.ticks.length - 1] as number;
  const first = x.ticks[0] as number;
  const shown = points.filter((p) => p.x >= first && p.x <= last);
  const path = shown.map((p) => `${toX(p.x).toFixed(1)},${toY(p.y).toFixed(1)}`).join(" ");
  return `<polyline class="line l${i}" points="${path}"/>`;
}

function legendEntry({ name }: Line, i: number): string {
  const left = PLOT.left + (i % LEGEND_COLUMNS) * ((PLOT.right - PLOT.left) / LEGEND_COLUMNS);
  const top = PLOT.bottom + 66 + LEGEND_LINE * Math.floor(i / LEGEND_COLUMNS);
  return segment(`line l${i}`, left, top - 4, left + 36, top - 4) + text(left + 44, top, name, "");
}

const segment = (kind: string, x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="${kind}" x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"/>`;

const text = (x: number, y: number, content: string, kind: string): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${kind ? ` class="${kind}"` : ""}>${escaped(content)}</text>`;

const labelOf = ({ label }: Axis, tick: number): string => label?.(tick) ?? String(tick);

const escaped = (content: string): string =>
  content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function style(lines: readonly Line[]): string {
  const colours = (mode: "light" | "dark") =>
    lines.map((line, i) => `.l${i}{stroke:${nthOf(COLOURS, lines, line)[mode]}}`).join("");
  const strokes = lines.map(
    (line, i) =>
      `.l${i}{stroke-width:${WIDTHS[line.role]};stroke-dasharray:${nthOf(DASHES, lines, line) || "none"}}`,
  );
  return [
    "<style>",
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}",
    ".title{font-size:15px;font-weight:600}.middle{text-anchor:middle}.end{text-anchor:end}",
    ".grid{stroke-width:1}.line{fill:none;stroke-linejoin:round}",
    strokes.join(""),
    `.back{fill:#ffffff}text{fill:#24292f}.grid{stroke:#d8dee4}${colours("light")}`,
    `@media(prefers-color-scheme:dark){.back{fill:#0d1117}text{fill:#d1d7e0}.grid{stroke:#30363d}${colours("dark")}}`,
    "</style>",
  ].join("\n");
}

/** What the list of its role has for the first, second, … line of that role. */
function nthOf<T>(lists: Record<Role, readonly T[]>, lines: readonly Line[], line: Line): T {
  const list = lists[line.role];
  const nth = lines.filter(({ role }) => role === line.role).indexOf(line);
  return list[nth % list.length] as T;
}
