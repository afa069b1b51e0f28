// A backend that joins or returns comes to its weight slowly: caches are cold, and by its empty count it would draw
// every request until it has caught up. Two rules: its weight grows linearly, and between two of its picks lie as many
// picks of the pool as make it at most twice its present share.
import { roundWeight } from "./eligibility.ts";

/** How often the weights of those that are starting are brought up to date. */
export const RAMP_STEP_MS = 250;

/** In any run of picks a starting backend gets at most this many times its share, and one more. */
const PACE = 2;

export const ramped = (
  weight: number,
  joinedMs: number,
  nowMs: number,
  { slowStartMs, slowStartPercent }: { slowStartMs: number; slowStartPercent: number },
): number =>
  roundWeight(weight * Math.min(1, Math.max(slowStartPercent / 100, (nowMs - joinedMs) / slowStartMs)));

/** How many picks of the pool after its last one a starting backend may be picked again. */
export const paceOf = (weight: number, totalWeight: number): number =>
  Math.ceil(totalWeight / (PACE * weight));
