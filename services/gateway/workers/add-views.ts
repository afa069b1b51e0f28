// What several processes of one gateway know and hold, as one. Pure.
import type { PoolView } from "../scheduling/scheduling.ts";

/** @param own pools and their order @param others of the other processes; pools only they know are on their way out */
export function addViews(own: readonly PoolView[], others: readonly PoolView[]): PoolView[] {
  return own.map((view) => others.filter(({ pool }) => pool === view.pool).reduce(add, view));
}

/** What may be picked, as the process says that knows the latest version. */
function add(sum: PoolView, other: PoolView): PoolView {
  const held = added(sum.held, other.held);
  const picks = added(sum.picks, other.picks);
  const { version, eligible } = other.version > sum.version ? other : sum;
  const alone = sum.deciding === "fallback" || other.deciding === "fallback";
  const failover = sum.failover ?? other.failover;
  return { ...sum, failover, version, eligible, held, picks, deciding: alone ? "fallback" : "scheduler" };
}

function added(one: Record<string, number>, other: Record<string, number>): Record<string, number> {
  const sum = { ...one };
  for (const [backend, n] of Object.entries(other)) sum[backend] = (sum[backend] ?? 0) + n;
  return sum;
}
