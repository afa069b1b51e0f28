// A backend that joins or returns comes to its weight slowly: caches are cold, and by its empty count it would draw
// every request until it has caught up. Two rules: its weight grows linearly, and between two of its picks lie as many
// picks of the pool as make it at most twice its present share.
import { roundWeight } from "./eligibility.ts";

/** How often the weights of those that are starting are brought up to date. */
export const RAMP_STEP_MS = 250;

/** In any run of picks a starting backend gets at most this many times its share, and one more. */
const PACE = 2;

interface Pace {
  slowStartMs: number;
  slowStartPercent: number;
}

/** How far a backend has come: from the configured share up to 1. */
export const risen = (joinedMs: number, nowMs: number, { slowStartMs, slowStartPercent }: Pace): number =>
  Math.min(1, Math.max(slowStartPercent / 100, (nowMs - joinedMs) / slowStartMs));

export const ramped = (weight: number, joinedMs: number, nowMs: number, pace: Pace): number =>
  roundWeight(weight * risen(joinedMs, nowMs, pace));

/** Of a number of requests, what a starting backend may have of it: at least one. */
export const partOf = (whole: number, joinedMs: number, nowMs: number, pace: Pace): number =>
  Math.max(1, Math.floor(whole * risen(joinedMs, nowMs, pace)));

/** How many picks of the pool after its last one a starting backend may be picked again. */
export const paceOf = (weight: number, totalWeight: number): number =>
  Math.ceil(totalWeight / (PACE * weight));
