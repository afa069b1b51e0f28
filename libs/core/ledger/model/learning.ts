// What is learned from traffic, agents and probes for the load.
import { isJudged, learn, learnMetrics } from "../estimate.ts";
import type { Outcomes } from "../ledger.ts";
import { judgeBackend } from "./membership.ts";
import type { Backend, PoolRecord } from "./record.ts";

/**
 * Where the policy does not judge, what is learned is only shown: some statements are enough then, as many as report on
 * this many backends per ms, and in a burst what is due for this long. So it costs next to nothing under load.
 */
const LEARNED_PER_MS = 4;
const LEARN_BURST_MS = 64;

export function shallLearn(pool: PoolRecord, reported: number, nowMs: number): boolean {
  if (isJudged(pool.facts.policy)) return true;
  if (reported === 0 || pool.learnsAtMs > nowMs) return false;
  pool.learnsAtMs = Math.max(pool.learnsAtMs, nowMs - LEARN_BURST_MS) + reported / LEARNED_PER_MS;
  return true;
}

export function learnOutcomes(pool: PoolRecord, backend: Backend, outcomes: Outcomes, nowMs: number): void {
  const { learned, neutral } = learn(backend.learned, pool.neutral, outcomes, nowMs);
  backend.learned = learned;
  pool.neutral = neutral;
  if (outcomes.metrics) learnReport(pool, backend, outcomes.metrics, nowMs);
}

export function learnReport(
  pool: PoolRecord,
  backend: Backend,
  metrics: Record<string, number>,
  nowMs: number,
): void {
  const { learned, neutral } = learnMetrics(backend.learned, pool.neutral, metrics, nowMs);
  backend.learned = learned;
  pool.neutral = neutral;
}

export function judgeAll(pool: PoolRecord, backends: Iterable<Backend>, nowMs: number): void {
  if (isJudged(pool.facts.policy)) for (const backend of backends) judgeBackend(pool, backend, nowMs);
}
