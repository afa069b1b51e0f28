// The reference model of the ledger: the same contract as the Redis one, in memory, without I/O, written for reading
// rather than speed (a pick looks at every backend). The contract suite holds the two to equal answers, and the
// simulator runs this one.
import type { Mode } from "../health/state.ts";
import type { Ledger, PoolFacts, Reply, Rows, SettleResult, Statement } from "./ledger.ts";
import { mendHealth, observe, observeOutcomes, passTime } from "./model/health.ts";
import { emptyLog, entriesAfter, type Log } from "./model/log.ts";
import { advanceSlowStart, configured, judgeStalest, reindex } from "./model/membership.ts";
import { pick, renumber } from "./model/picks.ts";
import { type Gateway, type PoolRecord, pickable, scoreOf } from "./model/record.ts";
import { expireGateways, stateRows } from "./model/rows.ts";
import { poolState } from "./model/state.ts";

export interface ModelLedger extends Ledger {
  /** The sorted set as it would stand in Redis: backend → score of those that a pick may take. */
  order(pool: string): Map<string, number>;
}

export function createModelLedger(clock: () => number): ModelLedger {
  const pools = new Map<string, PoolRecord>();
  /** Also of pools that were removed. */
  const logs = new Map<string, Log>();

  const withPool = <T>(name: string, act: (pool: PoolRecord, nowMs: number) => T): T | null => {
    const pool = pools.get(name);
    return pool ? act(pool, clock()) : null;
  };

  return {
    async settle(name, statements) {
      return withPool(name, (pool, nowMs) => settle(pool, statements, nowMs));
    },
    async configure(facts: PoolFacts) {
      const log = logs.get(facts.pool) ?? emptyLog();
      logs.set(facts.pool, log);
      const pool = configured(pools.get(facts.pool), facts, clock(), log);
      pools.set(facts.pool, pool);
      return pool.version;
    },
    async observe(name, findings) {
      return withPool(name, (pool, nowMs) => observe(pool, findings, nowMs));
    },
    async setMode(name, backend, mode) {
      return withPool(name, (pool, nowMs) => setMode(pool, backend, mode, nowMs));
    },
    async read(name) {
      return withPool(name, (pool, nowMs) => {
        mendClock(pool, nowMs);
        expireGateways(pool, new Set(), nowMs);
        passTime(pool, nowMs);
        advanceSlowStart(pool, nowMs);
        return poolState(pool);
      });
    },
    async rows(name) {
      const rows: Rows = {};
      for (const [id, gateway] of pools.get(name)?.gateways ?? []) rows[id] = Object.fromEntries(gateway.row);
      return rows;
    },
    async events(name, after, most) {
      return entriesAfter(logs.get(name) ?? emptyLog(), after, most);
    },
    async remove(name, configVersion) {
      if ((pools.get(name)?.facts.configVersion ?? 0) <= configVersion) pools.delete(name);
    },
    order(name) {
      const pool = pools.get(name);
      return new Map(pool ? pickable(pool).map(([id, backend]) => [id, scoreOf(pool, id, backend)]) : []);
    },
  };
}

function settle(pool: PoolRecord, statements: readonly Statement[], nowMs: number): SettleResult {
  const replies = stateRows(pool, statements, nowMs);
  const applied = statements.flatMap((statement, i) => {
    const reply = replies[i] as Reply;
    return reply.status === "applied" ? [{ statement, reply }] : [];
  });
  passTime(pool, nowMs);
  observeOutcomes(
    pool,
    applied.map(({ statement }) => statement),
    nowMs,
  );
  advanceSlowStart(pool, nowMs);
  judgeStalest(pool, nowMs);
  const wants = applied.reduce((sum, { statement }) => sum + statement.wants.length, 0);
  if (wants > 0) renumber(pool, wants);
  for (const { statement, reply } of applied) {
    const gateway = pool.gateways.get(statement.gateway) as Gateway;
    reply.picks = statement.wants.map((want) => pick(pool, gateway, want, nowMs));
  }
  return { version: pool.version, replies };
}

/** A clock that was set back must not keep anything waiting for as long as it went back. */
function mendClock(pool: PoolRecord, nowMs: number): void {
  for (const gateway of pool.gateways.values()) gateway.seenMs = Math.min(gateway.seenMs, nowMs);
  pool.rampedMs = Math.min(pool.rampedMs, nowMs);
  pool.learnsAtMs = Math.min(pool.learnsAtMs, nowMs);
  mendHealth(pool, nowMs);
  for (const backend of pool.backends.values()) {
    backend.judgedMs = Math.min(backend.judgedMs, nowMs);
    if (backend.joinedMs !== null) backend.joinedMs = Math.min(backend.joinedMs, nowMs);
  }
}

function setMode(pool: PoolRecord, id: string, mode: Mode, nowMs: number): boolean {
  const backend = pool.backends.get(id);
  if (!backend) return false;
  if (backend.mode === mode) return true;
  const from = backend.mode;
  backend.mode = mode;
  const joining = new Set(mode === "active" ? [id] : []);
  reindex(pool, joining, nowMs, [{ type: "mode", backend: id, from, to: mode }]);
  return true;
}
