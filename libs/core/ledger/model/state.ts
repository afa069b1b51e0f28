// The pool as an operator sees it.
import { isUsed } from "../agent.ts";
import type { BackendState, PoolState } from "../ledger.ts";
import { type Backend, inflight, type PoolRecord } from "./record.ts";

export function poolState(pool: PoolRecord): PoolState {
  const backends = [...pool.backends.values()].map((b) => backendState(pool, b));
  backends.sort((a, b) => (a.id < b.id ? -1 : 1));
  const { pool: name, policy } = pool.facts;
  return { pool: name, version: pool.version, policy, panic: pool.panic, backends };
}

const backendState = (pool: PoolRecord, b: Backend): BackendState => ({
  ...b.facts,
  effectiveWeight: b.effectiveWeight ?? 0,
  inflight: inflight(pool, b.facts.id),
  health: b.health.health,
  reason: b.health.reason,
  sinceMs: b.health.sinceMs,
  mode: b.mode,
  detail: b.health.detail,
  ejections: b.health.ejections,
  returnsMs: b.health.returnsMs || null,
  probedMs: b.probedMs,
  agent: b.agent && { weightPercent: b.agent.weightPercent, drain: b.agent.drain },
  ready: isUsed(b.mode, b.agent) && b.health.health === "healthy",
  ewmaMs: b.learned.latencyNs === 0 ? null : b.learned.latencyNs / 1e6,
  metrics: Object.fromEntries([...b.learned.metrics].map(([name, { value }]) => [name, value])),
});
