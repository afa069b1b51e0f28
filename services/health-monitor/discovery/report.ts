// Says what discovery finds, and what goes wrong: a metric for what is, a log line for what becomes, once each.
import type { Source } from "@evenkeel/core/config/discovered.ts";
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { DiscoveryMetrics } from "./metrics.ts";
import type { Found, LeftOutBackend } from "./reconcile.ts";

/** Of backends that are left out, at once; the rest is a number. */
const LEFT_OUT_LINES_MAX = 20;

export type Report = ReturnType<typeof createReport>;

export function createReport(metrics: DiscoveryMetrics, log: Log) {
  let known = new Set<string>();

  /** @returns whether other backends count as found now */
  function answered(pool: string, source: Source, before: Found, after: Found): boolean {
    const at = { pool, source };
    metrics.backends.set(at, after.backends.length);
    metrics.failing.set(at, after.failing === null ? 0 : 1);
    metrics.kept.set(at, after.keeping ? 1 : 0);
    if (before.failing === null && after.failing !== null)
      log.warn(
        { ...at, reason: after.failing, backends: after.backends.length },
        "discovery fails: what was found stays",
      );
    else if (before.failing !== null && after.failing === null) log.info(at, "discovery works again");
    if (after.keeping && !before.keeping)
      log.warn(
        { ...at, backends: after.backends.length },
        "no backend is named any more: the last ones stay (whenEmpty)",
      );
    const change = changeOf(before, after);
    if (change === null) return false;
    metrics.changes.inc(at);
    log.info({ ...at, ...change, backends: after.backends.length }, "other backends were found");
    return true;
  }

  /** Of all pools; whoever was left out before and still is has been told of. */
  function leftOut(all: readonly LeftOutBackend[]): void {
    const now = new Set<string>();
    const counts = new Map<string, { at: { pool: string; source: Source }; count: number }>();
    let lines = 0;
    let more = 0;
    for (const one of all) {
      const { pool, source, backend, reason } = one;
      const where = `${pool} ${source}`;
      const entry = counts.get(where) ?? { at: { pool, source }, count: 0 };
      counts.set(where, entry);
      entry.count += 1;
      const key = `${where} ${backend} ${reason}`;
      now.add(key);
      if (known.has(key)) continue;
      if (lines++ < LEFT_OUT_LINES_MAX)
        log.warn({ pool, source, backend, reason }, "a found backend is left out");
      else more += 1;
    }
    if (more > 0) log.warn({ more }, "further found backends are left out");
    known = now;
    metrics.leftOut.reset();
    for (const { at, count } of counts.values()) metrics.leftOut.set(at, count);
  }

  /** Since the last good answers. */
  function ages(all: Iterable<{ pool: string; source: Source; ageMs: number }>): void {
    for (const { pool, source, ageMs } of all) metrics.ageSeconds.set({ pool, source }, ageMs / 1_000);
  }

  return { answered, leftOut, ages };
}

/** Null: the same ones, in whatever order. */
function changeOf(before: Found, after: Found): { joined: number; left: number; changed: number } | null {
  if (before.backends === after.backends) return null;
  const was = new Map(before.backends.map((backend) => [backend.id, backend]));
  let joined = 0;
  let changed = 0;
  for (const backend of after.backends) {
    const one = was.get(backend.id);
    if (!one) joined += 1;
    else if (!same(one, backend)) changed += 1;
  }
  const left = Math.max(0, before.backends.length + joined - after.backends.length);
  return joined + changed + left === 0 ? null : { joined, left, changed };
}

function same(one: BackendDocument, other: BackendDocument): boolean {
  const keys = Object.keys(one) as (keyof BackendDocument)[];
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
