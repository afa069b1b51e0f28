// What traffic, probes, agents and time say about who can serve.
import {
  type HealthState,
  isDoubtful,
  mended,
  observeProbe,
  observeTime,
  observeTraffic,
} from "../../health/state.ts";
import { stillOpen } from "../../health/window.ts";
import { isSameWish, isUsed, NO_WISH, tidied } from "../agent.ts";
import {
  AGENT_TTL_MS,
  type AgentWish,
  type Finding,
  type Observation,
  type Statement,
  type Transition,
} from "../ledger.ts";
import { judgeAll, learnOutcomes, learnReport, shallLearn } from "./learning.ts";
import type { Happening } from "./log.ts";
import { reindex } from "./membership.ts";
import type { Backend, PoolRecord } from "./record.ts";

export function observeOutcomes(pool: PoolRecord, statements: readonly Statement[], nowMs: number): void {
  const happened: Happening[] = [];
  const reported = new Set<Backend>();
  for (const s of statements) {
    const learning = shallLearn(pool, Object.keys(s.outcomes).length, nowMs);
    for (const [id, outcomes] of Object.entries(s.outcomes)) {
      const backend = pool.backends.get(id);
      if (!backend) continue;
      reported.add(backend);
      if (learning) learnOutcomes(pool, backend, outcomes, nowMs);
      const before = backend.health;
      const mayLeave = () => mayBeTakenOut(pool, backend);
      const after = observeTraffic(before, backend.window, outcomes, pool.facts, mayLeave, nowMs);
      backend.window = after.window;
      enter(backend, after.state, happened);
    }
  }
  judgeAll(pool, reported, nowMs);
  if (happened.length > 0) reindex(pool, new Set(), nowMs, happened); // traffic only ever takes backends out
}

/** Requests take out no more than a share of those in use; one always, and one that is not used anyway. */
function mayBeTakenOut({ backends, facts }: PoolRecord, backend: Backend): boolean {
  if (!isUsed(backend.mode, backend.agent)) return true;
  const used = [...backends.values()].filter(({ mode, agent }) => isUsed(mode, agent));
  const out = used.filter(({ health }) => health.health === "unhealthy").length;
  return out === 0 || (out + 1) * 100 <= facts.maxEjectPercent * used.length;
}

export function observe(pool: PoolRecord, findings: readonly Finding[], nowMs: number): Observation {
  const happened: Happening[] = [];
  const joining = new Set<string>();
  const reported = new Set<Backend>();
  const observed = new Set<Backend>();
  for (const finding of findings.map(tidied)) {
    const backend = pool.backends.get(finding.backend);
    if (backend?.facts.url !== finding.url) continue;
    observed.add(backend);
    if (isKnown(backend, finding)) continue;
    if (finding.dueMs !== undefined) backend.probedMs = Math.min(finding.dueMs, nowMs);
    if (finding.metrics) {
      learnReport(pool, backend, finding.metrics, nowMs);
      reported.add(backend);
    }
    const before = { used: isUsed(backend.mode, backend.agent), health: backend.health.health };
    wish(backend, finding.agent ?? null, nowMs, happened);
    const next = observeProbe(backend.health, finding.ok, finding.detail ?? null, pool.facts, nowMs);
    enter(backend, next, happened);
    if (before.health === "unhealthy" && next.health === "healthy") joining.add(finding.backend);
    if (!before.used && isUsed(backend.mode, backend.agent)) joining.add(finding.backend);
  }
  judgeAll(pool, reported, nowMs);
  if (happened.length > 0) reindex(pool, joining, nowMs, happened);
  return {
    transitions: happened.flatMap((h) => (h.type === "health" ? [transitionOf(h)] : [])),
    doubtful: [...observed].filter(({ health }) => isDoubtful(health, nowMs)).map(({ facts }) => facts.id),
  };
}

/** Two monitors that overlap tell of the same probe, or of one before it. */
const isKnown = ({ probedMs }: Backend, { dueMs }: Finding): boolean =>
  dueMs !== undefined && probedMs !== null && dueMs <= probedMs;

/** @param asked null: nothing was said of it, which leaves the last wish as long as it counts */
function wish(backend: Backend, asked: AgentWish | null, nowMs: number, happened: Happening[]): void {
  const before = backend.agent;
  if (asked) backend.agent = { ...asked, atMs: nowMs };
  else if (before && nowMs >= before.atMs + AGENT_TTL_MS) backend.agent = null;
  if (isSameWish(before, backend.agent)) return;
  const { weightPercent, drain } = backend.agent ?? NO_WISH;
  happened.push({ type: "agent", backend: backend.facts.id, weightPercent, drain });
}

function enter(backend: Backend, to: HealthState, happened: Happening[]): void {
  const from = backend.health;
  backend.health = to;
  if (from.health === to.health) return;
  backend.window = null;
  const { reason, ejections, detail } = to;
  happened.push({
    ...{ type: "health", backend: backend.facts.id, from: from.health, to: to.health },
    ...{ reason, detail, ejections },
  });
}

const transitionOf = ({ backend, from, to, reason, detail }: Transition): Transition => ({
  backend,
  from,
  to,
  reason,
  detail,
});

/** Who was out for long enough returns unproven, and wishes that nobody repeats are void. */
export function passTime(pool: PoolRecord, nowMs: number): void {
  const happened: Happening[] = [];
  const joining = new Set<string>();
  const backends = [...pool.backends.values()].sort((a, b) => (a.facts.id < b.facts.id ? -1 : 1));
  for (const backend of backends) {
    const next = observeTime(backend.health, pool.facts, nowMs);
    if (next !== backend.health) joining.add(backend.facts.id);
    enter(backend, next, happened);
  }
  for (const backend of backends) {
    const used = isUsed(backend.mode, backend.agent);
    wish(backend, null, nowMs, happened);
    if (!used && isUsed(backend.mode, backend.agent)) joining.add(backend.facts.id);
  }
  if (happened.length > 0) reindex(pool, joining, nowMs, happened);
}

/** A clock that was set back must not keep anything waiting for as long as it went back. */
export function mendHealth({ backends, facts }: PoolRecord, nowMs: number): void {
  for (const backend of backends.values()) {
    const { window, probedMs, agent } = backend;
    backend.health = mended(backend.health, facts, nowMs);
    backend.window = stillOpen(
      window && { ...window, openedMs: Math.min(window.openedMs, nowMs) },
      facts,
      nowMs,
    );
    backend.probedMs = probedMs && Math.min(probedMs, nowMs);
    backend.agent = agent && { ...agent, atMs: Math.min(agent.atMs, nowMs) };
  }
}
