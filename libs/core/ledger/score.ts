// How a pool is ordered: by load, ties to the least recently picked. Both go into one number, so that one sorted set
// answers "who is next" and equal loads never fall back to comparing names. The number is computed from the facts each
// time, never added to, so it cannot drift. libs/ledger/lua/score.lua computes the same.
import type { Policy } from "../config/schema-scheduling.ts";
import type { PoolFacts } from "./ledger.ts";

/** Loads closer than 1/8192 are equal; a load of 2^17 or more counts as 2^17. */
const LOAD_STEPS = 8_192;
const LOAD_MAX = 2 ** 30 - 1;
const TICK_SPAN = 2 ** 23;

/** Picks are numbered up to here; then they are renumbered from 1, keeping their order. */
export const TICK_MAX = TICK_SPAN - 1;

/** Turns of round-robin are taken down, for all backends alike, when they have come to this load. */
export const TURNS_REBASE_LOAD = 2 ** 16;

/** What was learned about a backend enters its load in steps of this. */
export const BIAS_STEPS = 1_024;

export interface LoadFacts {
  inflight: number;
  turns: number;
  /** Effective. */
  weight: number;
  /** Position in the configuration. */
  rank: number;
  /** What was learned, as `judge` puts it; 0 for policies that learn nothing. */
  bias: number;
  /** How many it serves at once; 0 when not told. */
  slots: number;
}

/**
 * Half a request on top makes rounding fair: without it the last few requests favour small weights, with a whole one
 * large weights. An idle backend is idle whatever its weight.
 */
const taken = ({ inflight, weight }: LoadFacts) => (inflight === 0 ? 0 : (inflight + 0.5) / weight);

/** Up to this share of its slots one backend is as empty as another of its speed: the fast ones are filled first. */
const SLOTS_FREE = 3 / 4;

const filled = (facts: LoadFacts) =>
  facts.slots === 0 ? taken(facts) : Math.max(facts.inflight + 0.5, SLOTS_FREE * facts.slots) / facts.weight;

/** A policy is a load and a pick: those with the same load differ in the pick (`model/picks.ts`). */
export const LOADS: Record<Policy, (facts: LoadFacts, pool: PoolFacts) => number> = {
  "least-connections": filled,
  "round-robin": ({ turns, weight }) => turns / weight,
  "least-time": ({ inflight, weight, bias, slots }) =>
    (Math.max(inflight + 1, SLOTS_FREE * slots) * bias) / (BIAS_STEPS * weight),
  "two-choices": filled,
  random: filled,
  first: ({ rank }) => rank,
  hash: filled,
  /** Room is reckoned by what is in flight: slots would leave a large backend without any. */
  geo: taken,
  criteria: (facts, { criteria }) => {
    const connections = criteria.find(({ name }) => name === "connections");
    const own = connections ? (filled(facts) * connections.weight) / connections.scale : 0;
    return own + facts.bias / BIAS_STEPS;
  },
};

/** In the numbers that scores are compared by. */
export const scoreOfLoad = (load: number): number =>
  Math.min(Math.floor(load * LOAD_STEPS), LOAD_MAX) * TICK_SPAN;

/** Exact below 2^53. @param pickedTick number of the backend's last pick, 0 if never */
export const score = (pool: PoolFacts, facts: LoadFacts, pickedTick: number): number =>
  scoreOfLoad(LOADS[pool.policy](facts, pool)) + pickedTick;
