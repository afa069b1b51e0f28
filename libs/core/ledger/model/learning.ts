// What traffic, probes and time say about backends: health, and what is learned for the load.
import { type HealthState, observeProbe, observeTime, observeTraffic } from "../../health/state.ts";
import { isJudged, learn, learnMetrics } from "../estimate.ts";
import type { Finding, Outcomes, Statement, Transition } from "../ledger.ts";
import { judgeBackend, reindex } from "./membership.ts";
import type { Backend, PoolRecord } from "./record.ts";

/**
 * Where the policy does not judge, what is learned is only shown: some statements are enough then, as many as report on
 * this many backends per ms, and in a burst what is due for this long. So it costs next to nothing under load.
 */
const LEARNED_PER_MS = 4;
const LEARN_BURST_MS = 64;

export function observeOutcomes(pool: PoolRecord, statements: readonly Statement[], nowMs: number): void {
  const changed = new Map<string, Backend>();
  const reported = new Set<Backend>();
  for (const s of statements) {
    const learning = shallLearn(pool, Object.keys(s.outcomes).length, nowMs);
    for (const [id, outcomes] of Object.entries(s.outcomes)) {
      const backend = pool.backends.get(id);
      if (!backend) continue;
      reported.add(backend);
      if (learning) learnOutcomes(pool, backend, outcomes, nowMs);
      const before = backend.health;
      backend.health = observeTraffic(
        before,
        outcomes.failuresInRow,
        outcomes.success > 0,
        pool.facts,
        nowMs,
      );
      if (backend.health.health !== before.health) changed.set(id, backend);
    }
  }
  judgeAll(pool, reported, nowMs);
  if (changed.size > 0) reindex(pool, new Set(), nowMs); // traffic only ever takes backends out
}

function shallLearn(pool: PoolRecord, reported: number, nowMs: number): boolean {
  if (isJudged(pool.facts.policy)) return true;
  if (reported === 0 || pool.learnsAtMs > nowMs) return false;
  pool.learnsAtMs = Math.max(pool.learnsAtMs, nowMs - LEARN_BURST_MS) + reported / LEARNED_PER_MS;
  return true;
}

function learnOutcomes(pool: PoolRecord, backend: Backend, outcomes: Outcomes, nowMs: number): void {
  const { learned, neutral } = learn(backend.learned, pool.neutral, outcomes, nowMs);
  backend.learned = learned;
  pool.neutral = neutral;
  if (outcomes.metrics) learnReport(pool, backend, outcomes.metrics, nowMs);
}

function learnReport(
  pool: PoolRecord,
  backend: Backend,
  metrics: Record<string, number>,
  nowMs: number,
): void {
  const { learned, neutral } = learnMetrics(backend.learned, pool.neutral, metrics, nowMs);
  backend.learned = learned;
  pool.neutral = neutral;
}

function judgeAll(pool: PoolRecord, backends: Iterable<Backend>, nowMs: number): void {
  if (isJudged(pool.facts.policy)) for (const backend of backends) judgeBackend(pool, backend, nowMs);
}

export function observe(pool: PoolRecord, findings: readonly Finding[], nowMs: number): Transition[] {
  const transitions: Transition[] = [];
  const risen = new Set<string>();
  const reported = new Set<Backend>();
  for (const { backend: id, url, ok, metrics } of findings) {
    const backend = pool.backends.get(id);
    if (backend?.facts.url !== url) continue;
    if (metrics) {
      learnReport(pool, backend, metrics, nowMs);
      reported.add(backend);
    }
    const before = backend.health;
    backend.health = observeProbe(before, ok, pool.facts, nowMs);
    if (before.health === backend.health.health) continue;
    transitions.push(transition(id, before, backend.health));
    if (backend.health.health === "healthy") risen.add(id);
  }
  judgeAll(pool, reported, nowMs);
  if (transitions.length > 0) reindex(pool, risen, nowMs);
  return transitions;
}

const transition = (backend: string, from: HealthState, to: HealthState): Transition => ({
  backend,
  from: from.health,
  to: to.health,
  reason: to.reason,
});

export function returnUnproven(pool: PoolRecord, nowMs: number): void {
  const returned = new Set<string>();
  for (const [id, backend] of pool.backends) {
    const next = observeTime(backend.health, pool.facts, nowMs);
    if (next === backend.health) continue;
    backend.health = next;
    returned.add(id);
  }
  if (returned.size > 0) reindex(pool, returned, nowMs);
}
