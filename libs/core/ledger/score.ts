// How a pool is ordered: by load, ties to the least recently picked. Both go into one number, so that one sorted set
// answers "who is next" and equal loads never fall back to comparing names. The number is computed from integer
// facts each time, never added to, so it cannot drift. libs/ledger/lua/pool.lua computes the same.
import type { Policy } from "../config/schema.ts";

/** Loads closer than 1/8192 are equal; a load of 2^17 or more counts as 2^17. */
const LOAD_STEPS = 8_192;
const LOAD_MAX = 2 ** 30 - 1;
const TICK_SPAN = 2 ** 23;

/** Picks are numbered up to here; then they are renumbered from 1, keeping their order. */
export const TICK_MAX = TICK_SPAN - 1;

/** Turns of round-robin are taken down, for all backends alike, when the least of them reaches this load. */
export const TURNS_REBASE_LOAD = 2 ** 16;

export interface LoadFacts {
  inflight: number;
  turns: number;
  weight: number;
}

/** A policy is a load and a pick; these two share the pick (lowest score) and differ in the load. */
export const LOADS: Record<Policy, (facts: LoadFacts) => number> = {
  // Half a request on top makes rounding fair: without it the last few requests favour small weights, with a whole one
  // large weights. An idle backend is idle whatever its weight.
  "least-connections": ({ inflight, weight }) => (inflight === 0 ? 0 : (inflight + 0.5) / weight),
  "round-robin": (facts) => facts.turns / facts.weight,
};

/** Exact below 2^53. @param pickedTick number of the backend's last pick, 0 if never */
export function score(policy: Policy, facts: LoadFacts, pickedTick: number): number {
  const load = Math.min(Math.floor(LOADS[policy](facts) * LOAD_STEPS), LOAD_MAX);
  return load * TICK_SPAN + pickedTick;
}
