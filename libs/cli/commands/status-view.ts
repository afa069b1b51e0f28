// What `evenkeel status` shows: one table per pool, what is to be known of its backends besides, then who is running. Pure.
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { ShownBackend, ShownPool } from "@evenkeel/core/wire/shown-pool.ts";
import { ordinal, printable, wishOf } from "./events-view.ts";

export interface Status {
  pools: ShownPool[];
  members: Member[];
  /** Pool → the one that takes its requests while too few of its backends are healthy. Left out: not known. */
  failover?: Readonly<Record<string, string>>;
}

interface Column {
  heading: string;
  cell(backend: ShownBackend, nowMs: number): string;
  /** Where absent: always. */
  shown?(pool: ShownPool): boolean;
}

const COLUMNS: readonly Column[] = [
  { heading: "backend", cell: ({ id }) => id },
  { heading: "url", cell: ({ url }) => url },
  { heading: "zone", cell: ({ zone }) => zone ?? "-" },
  { heading: "tier", cell: ({ priority }) => String(priority), shown: hasTiers },
  { heading: "weight", cell: weightOf },
  { heading: "in-flight", cell: ({ inflight }) => String(inflight) },
  {
    heading: "health",
    cell: ({ health, reason, sinceMs }, nowMs) => `${health} ${age(nowMs - sinceMs)} (${reason})`,
  },
  { heading: "mode", cell: modeOf },
  { heading: "ewma", cell: ({ ewmaMs }) => (ewmaMs === null ? "-" : `${ewmaMs.toFixed(1)} ms`) },
  { heading: "reports", cell: metricsOf, shown: hasReports },
];

/** More of a backend's metrics are counted only. */
const METRICS_SHOWN = 3;

const ROLES = ["gateway", "scheduler", "health-monitor"] as const;

/** Of one pool; there may be thousands of backends that are out. */
const NOTES_MAX = 20;

/** @param width of the terminal: longer lines are cut */
export function renderStatus(
  { pools, members, failover = {} }: Status,
  nowMs: number,
  width = Number.POSITIVE_INFINITY,
): string {
  const parts = pools.map((pool) => renderPool(pool, failover[pool.pool], nowMs));
  if (pools.length === 0) parts.push("no pools");
  parts.push(...ROLES.map((role) => renderMembers(role, members, nowMs)));
  const lines = parts.join("\n\n").split("\n");
  return lines.map((line) => cut(printable(line), width)).join("\n");
}

const cut = (line: string, width: number): string =>
  line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;

function renderPool(shown: ShownPool, failsOverTo: string | undefined, nowMs: number): string {
  const { pool, policy, version, panic, backends } = shown;
  const inflight = backends.reduce((sum, backend) => sum + backend.inflight, 0);
  const ready = backends.filter((backend) => backend.ready).length;
  const facts = [
    policy,
    `${ready} of ${backends.length} ready`,
    `${inflight} in flight`,
    `version ${version}`,
  ];
  const columns = COLUMNS.filter((column) => column.shown?.(shown) ?? true);
  const rows = backends.map((backend) => columns.map(({ cell }) => cell(backend, nowMs)));
  const headings = columns.map(({ heading }) => heading);
  return [
    `pool ${pool}  (${facts.join(", ")})`,
    ...alarms(panic, ready, failsOverTo),
    ...table([headings, ...rows]),
    ...notesOf(backends, nowMs),
  ].join("\n");
}

/** Above the table, where nothing is cut off. */
function alarms(panic: boolean, ready: number, failsOverTo: string | undefined): string[] {
  const alarm = panic ? ["  PANIC: too few are healthy, all active ones are used"] : [];
  const away = failsOverTo !== undefined && (panic || ready === 0);
  return away ? [...alarm, `  FAILOVER: pool ${failsOverTo} takes its requests where it can`] : alarm;
}

function notesOf(backends: readonly ShownBackend[], nowMs: number): string[] {
  const notes = backends.flatMap((backend) => noteOf(backend, nowMs) ?? []);
  const more = notes.length > NOTES_MAX ? [`  … and ${notes.length - NOTES_MAX} more`] : [];
  return [...notes.slice(0, NOTES_MAX), ...more];
}

/** What a backend's row has no room for. */
function noteOf(backend: ShownBackend, nowMs: number): string | null {
  const { id, health, detail, ejections, returnsMs, agent } = backend;
  const parts: string[] = [];
  if (health === "unhealthy") {
    if (detail !== null) parts.push(detail);
    if (ejections > 1) parts.push(`out for the ${ordinal(ejections)} time lately`);
    const leftMs = (returnsMs ?? 0) - nowMs;
    parts.push(leftMs > 0 ? `back in ${age(leftMs + 999)} at the earliest` : "may return at any time");
  }
  if (agent && (agent.drain || agent.weightPercent !== 100)) parts.push(`its agent ${wishOf(agent)}`);
  return parts.length === 0 ? null : `  ${id}: ${parts.join(", ")}`;
}

function hasTiers({ backends }: ShownPool): boolean {
  return new Set(backends.map(({ priority }) => priority)).size > 1;
}

function hasReports({ backends }: ShownPool): boolean {
  return backends.some(({ metrics }) => Object.keys(metrics).length > 0);
}

function weightOf({ weight, effectiveWeight }: ShownBackend): string {
  return weight === effectiveWeight
    ? String(weight)
    : `${weight} (now ${Number(effectiveWeight.toFixed(2))})`;
}

function modeOf({ mode, drained, inflight }: ShownBackend): string {
  if (drained) return "drained";
  return mode === "draining" ? `draining, ${inflight} left` : mode;
}

function metricsOf({ metrics }: ShownBackend): string {
  const told = Object.entries(metrics).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const shown = told
    .slice(0, METRICS_SHOWN)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`);
  if (told.length > METRICS_SHOWN) shown.push(`${told.length - METRICS_SHOWN} more`);
  return shown.length === 0 ? "-" : shown.join(", ");
}

function renderMembers(role: string, members: readonly Member[], nowMs: number): string {
  const of = members.filter((member) => member.role === role);
  if (of.length === 0) return `${role}: none alive`;
  const rows = of.map(({ id, adminUrl, pid, startedAtMs }) => [
    id,
    adminUrl,
    `pid ${pid}`,
    `up ${age(nowMs - startedAtMs)}`,
  ]);
  return [`${role}: ${of.length} alive`, ...table(rows)].join("\n");
}

/** Rows of equal length as lines, columns aligned, indented by two. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd());
}

/** A time span in its largest unit; the clocks of two machines may differ, so never below zero. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
