// When a backend may be counted on, and until when what was wrong with it may still be found out: from the faults alone.
import type { Fault, Role } from "./facts.ts";
import { LATE_FINDING_MS, RETURN_BOUND_MS, SIZE } from "./settings.ts";

export interface Span {
  fromMs: number;
  untilMs: number;
}

/** Between a thing that happens and what this process notes of it. */
export const SKEW_MS = 50;

export const overlap = (a: Span, b: Span): boolean => a.fromMs < b.untilMs && b.fromMs < a.untilMs;

const COUNTS: Partial<Record<Role, number>> = { scheduler: SIZE.schedulers, "health-monitor": SIZE.monitors };

/** When nobody could find anything out, or tell it: Redis was away, or every scheduler, or every monitor. */
export function outages(faults: readonly Fault[]): Span[] {
  const edges = [...new Set(faults.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]))].sort(
    (a, b) => a - b,
  );
  const found: Span[] = [];
  for (const [i, fromMs] of edges.entries()) {
    const untilMs = edges[i + 1];
    if (untilMs === undefined) break;
    const during = faults.filter((fault) => overlap(fault, { fromMs, untilMs }));
    const away = (role: Role, count: number) =>
      new Set(during.filter((fault) => fault.role === role).map(({ target }) => target)).size >= count;
    const all = Object.entries(COUNTS).some(([role, count]) => away(role as Role, count));
    if (away("redis", 1) || all) found.push({ fromMs, untilMs });
  }
  return found;
}

/** `boundMs` after the fault's end, and after that of every outage that began before that was over. */
function settledMs(fault: Span, boundMs: number, delays: readonly Span[]): number {
  let dueMs = fault.untilMs + boundMs;
  for (const delay of delays.toSorted((a, b) => a.fromMs - b.fromMs))
    if (delay.untilMs > fault.fromMs && delay.fromMs < dueMs)
      dueMs = Math.max(dueMs, delay.untilMs + boundMs);
  return dueMs;
}

/** It was whole during the span, and had been for so long before that everybody must have known. */
export function wasSound(backend: string, span: Span, faults: readonly Fault[]): boolean {
  const away = outages(faults);
  return faults
    .filter(({ target, fromMs }) => target === backend && fromMs - SKEW_MS < span.untilMs)
    .every((fault) => settledMs(fault, RETURN_BOUND_MS, away) <= span.fromMs);
}

/** Something was wrong with the backend for which it may be found unhealthy at that time. */
export function hadCause(backend: string, atMs: number, faults: readonly Fault[]): boolean {
  // A frozen process tells what it knows when it goes on.
  const frozen = faults.filter(({ kind }) => kind === "freeze" || kind === "hold");
  const delays = [...outages(faults), ...frozen];
  return faults.some(
    (fault) =>
      fault.target === backend &&
      atMs >= fault.fromMs - SKEW_MS &&
      atMs <= settledMs(fault, LATE_FINDING_MS, delays),
  );
}
