// What `evenkeel status` shows: one table per pool, then who is running. Pure.
import type { BackendState, PoolState } from "@evenkeel/core/ledger/ledger.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";

export interface Status {
  pools: PoolState[];
  members: Member[];
}

const BACKEND_HEADINGS = ["backend", "url", "zone", "weight", "in-flight", "health", "mode", "ewma"];
const ROLES = ["gateway", "scheduler", "health-monitor"] as const;

export function renderStatus({ pools, members }: Status, nowMs: number): string {
  const parts = pools.map((pool) => renderPool(pool, nowMs));
  if (pools.length === 0) parts.push("no pools");
  parts.push(...ROLES.map((role) => renderMembers(role, members, nowMs)));
  return parts.join("\n\n");
}

function renderPool({ pool, policy, version, panic, backends }: PoolState, nowMs: number): string {
  const inflight = backends.reduce((sum, backend) => sum + backend.inflight, 0);
  const ready = backends.filter((backend) => backend.ready).length;
  const facts = [
    policy,
    `${ready} of ${backends.length} ready`,
    `${inflight} in flight`,
    `version ${version}`,
  ];
  if (panic) facts.push("PANIC: more than half unhealthy, all active ones are used");
  const rows = backends.map((backend) => backendRow(backend, nowMs));
  return [`pool ${pool}  (${facts.join(", ")})`, ...table([BACKEND_HEADINGS, ...rows])].join("\n");
}

const backendRow = (backend: BackendState, nowMs: number): string[] => [
  backend.id,
  backend.url,
  backend.zone ?? "-",
  weightOf(backend),
  String(backend.inflight),
  `${backend.health} ${age(nowMs - backend.sinceMs)} (${backend.reason})`,
  backend.mode,
  backend.ewmaMs === null ? "-" : `${backend.ewmaMs.toFixed(1)} ms`,
];

const weightOf = ({ weight, effectiveWeight }: BackendState): string =>
  weight === effectiveWeight ? String(weight) : `${weight} (now ${Number(effectiveWeight.toFixed(2))})`;

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
