// When a backend's probes are due: on a grid that follows from its name and its pool's settings alone, so that all
// monitors agree on it without a word. Its place in the interval comes from a hash, which spreads backends evenly;
// each probe may stray from it a little, which keeps them from beating with whatever else happens every so often.
import type { Probing } from "@evenkeel/core/config/resolve-health.ts";
import { fnv1a } from "@evenkeel/core/hash.ts";

export interface DueTimes {
  seed: number;
  phaseMs: number;
  intervalMs: number;
  /** While in doubt. */
  fastIntervalMs: number;
  /** Either way; at most half of the interval. */
  jitterMs: number;
}

type Pace = Pick<Probing, "intervalMs" | "fastIntervalMs" | "jitterPercent">;

/** @param key of the backend, unique in the cluster */
export function dueTimesOf(key: string, { intervalMs, fastIntervalMs, jitterPercent }: Pace): DueTimes {
  const seed = fnv1a(key);
  const phaseMs = share(seed) * intervalMs;
  return { seed, phaseMs, intervalMs, fastIntervalMs, jitterMs: (jitterPercent / 100) * intervalMs };
}

/**
 * The first due time after `afterMs`, whole ms since the epoch. In doubt, the gaps between the regular ones are filled at
 * the fast interval, none nearer to the next regular one than half of it.
 */
export function nextDueMs(times: DueTimes, afterMs: number, doubtful: boolean): number {
  const { phaseMs, intervalMs, fastIntervalMs, jitterMs } = times;
  let k = Math.floor((afterMs - phaseMs - jitterMs) / intervalMs);
  let regularMs = regular(times, k);
  let before = regular(times, k - 1);
  while (regularMs <= afterMs) {
    k += 1;
    before = regularMs;
    regularMs = regular(times, k);
  }
  if (!doubtful) return regularMs;
  const fastMs = before + (Math.floor((afterMs - before) / fastIntervalMs) + 1) * fastIntervalMs;
  return fastMs <= regularMs - fastIntervalMs / 2 ? fastMs : regularMs;
}

const regular = ({ seed, phaseMs, intervalMs, jitterMs }: DueTimes, k: number): number =>
  Math.floor(k * intervalMs + phaseMs + jitterMs * (2 * share(seed ^ Math.imul(k, 0x9e3779b1)) - 1));

/** From 0 up to 1, evenly: the finalizer of MurmurHash3. */
function share(seed: number): number {
  let hash = seed ^ (seed >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
