// What several processes of one gateway know and hold, as one. Pure.
import type { PoolView } from "../scheduling/scheduling.ts";

/** @param own pools and their order @param others of the other processes; pools only they know are on their way out */
export function addViews(own: readonly PoolView[], others: readonly PoolView[]): PoolView[] {
  return own.map((view) => others.filter(({ pool }) => pool === view.pool).reduce(add, view));
}

/** What may be picked, as the process says that knows the latest version. */
function add(sum: PoolView, other: PoolView): PoolView {
  const held = { ...sum.held };
  for (const [backend, n] of Object.entries(other.held)) held[backend] = (held[backend] ?? 0) + n;
  const { version, eligible } = other.version > sum.version ? other : sum;
  const alone = sum.deciding === "fallback" || other.deciding === "fallback";
  return { ...sum, version, eligible, held, deciding: alone ? "fallback" : "scheduler" };
}
