// Hybrid routes: what they ask of the ledger beyond what their pool does. Each decision is made on the shared count as it
// is, not on a state that somebody entered and has to leave again, so nothing can flap: at the bound, every request that
// ends makes room for the next one.
import type { CRITICALITIES } from "@evenkeel/core/config/schema-routing.ts";
import { BELOW_MAX, type Want } from "@evenkeel/core/ledger/ledger.ts";

export type Criticality = (typeof CRITICALITIES)[number];

/** What of a route matters here. */
export interface HybridRoute {
  proxy: string;
  pool: string;
  /** The static backend; null where there is none. */
  backend: string | null;
  /** In flight on the static backend from which requests go to the pool; null: its `maxInflight`. */
  spillAbove: number | null;
  criticality: Criticality;
}

/** What of a pool matters here. */
export interface HybridPool {
  name: string;
  backends: readonly { id: string; maxInflight: number | null }[];
}

interface Class {
  /** Higher goes first. */
  rank: number;
  /**
   * Percent of the bound that this class fills, where a more critical one has the same static backend. What it leaves
   * free is the others' to take without a queue and without taking anything back: trunk reservation, known from telephone
   * networks to shield the class above almost wholly with a small reserve, whatever the load of the class below.
   */
  fillPercent: number;
}

const CLASSES: Record<Criticality, Class> = {
  critical: { rank: 2, fillPercent: 100 },
  /** A fifth of the bound is more than random arrivals of a critical class usually need at once. */
  normal: { rank: 1, fillPercent: 80 },
  /** Half is left to the others, so that background work is gone from it before anybody else notices. */
  background: { rank: 0, fillPercent: 50 },
};

/**
 * The part of a want that makes it a hybrid route's, one frozen object per route; null for a route of another kind.
 * Nothing is held back for a class that no route has: alone on its static backend, every class fills all of the bound.
 * @param pools where routes without a bound of their own find one
 */
export function compilePreferences<R extends HybridRoute>(
  routes: readonly R[],
  pools: readonly HybridPool[] = [],
): (route: R) => Want | null {
  const highest = new Map<string, number>();
  for (const route of routes) {
    if (route.proxy !== "hybrid") continue;
    const { rank } = CLASSES[route.criticality];
    highest.set(staticOf(route), Math.max(rank, highest.get(staticOf(route)) ?? 0));
  }
  const preferences = new Map<R, Want>();
  for (const route of routes) {
    const top = highest.get(staticOf(route));
    if (route.proxy !== "hybrid" || route.backend === null || top === undefined) continue;
    const whole = route.spillAbove ?? roomOf(route, pools);
    const below = whole < BELOW_MAX ? boundOf(whole, route, top) : BELOW_MAX;
    preferences.set(route, Object.freeze({ prefer: Object.freeze({ backend: route.backend, below }) }));
  }
  return (route) => preferences.get(route) ?? null;
}

/** Neither name has a blank. */
const staticOf = ({ pool, backend }: HybridRoute): string => `${pool} ${backend}`;

/** Without a bound anywhere only its health makes requests leave their static backend. */
function roomOf({ pool, backend }: HybridRoute, pools: readonly HybridPool[]): number {
  const one = pools.find(({ name }) => name === pool)?.backends.find(({ id }) => id === backend);
  return one?.maxInflight ?? BELOW_MAX;
}

function boundOf(whole: number, { criticality }: HybridRoute, highestRank: number): number {
  const { rank, fillPercent } = CLASSES[criticality];
  if (rank === highestRank) return whole;
  return Math.max(1, Math.floor((whole * fillPercent) / 100));
}
