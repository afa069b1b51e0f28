// The reference model of the ledger: the same contract as the Redis one, in memory, without I/O, written for reading
// rather than speed (a pick looks at every backend). The contract suite holds the two to equal answers, and the
// simulator runs this one.
import type { Policy } from "../config/schema.ts";
import {
  type HealthState,
  initialHealth,
  isPanic,
  type Mode,
  observeProbe,
  observeTime,
  observeTraffic,
} from "../health/state.ts";
import type {
  BackendFacts,
  BackendState,
  Finding,
  Ledger,
  Outcomes,
  PoolFacts,
  PoolState,
} from "./ledger.ts";
import {
  GATEWAY_TTL_MS,
  type Reply,
  type Rows,
  type SettleResult,
  type Statement,
  type Transition,
} from "./ledger.ts";
import { LOADS, score, TICK_MAX, TURNS_REBASE_LOAD } from "./score.ts";

/** One sample weighs as much as 1 in 8 of those before it. */
const EWMA_SPAN = 8;

interface Backend {
  facts: BackendFacts;
  health: HealthState;
  mode: Mode;
  pickedTick: number;
  turns: number;
  ewmaUs: number;
  /** Null while it may not be picked. */
  effectiveWeight: number | null;
}

interface Gateway {
  seq: number;
  seenMs: number;
  row: Map<string, number>;
}

interface PoolRecord {
  facts: PoolFacts;
  version: number;
  tick: number;
  panic: boolean;
  backends: Map<string, Backend>;
  gateways: Map<string, Gateway>;
}

export interface ModelLedger extends Ledger {
  /** The sorted set as it would stand in Redis: backend → score of those that a pick may take. */
  order(pool: string): Map<string, number>;
}

export function createModelLedger(clock: () => number): ModelLedger {
  const pools = new Map<string, PoolRecord>();

  const withPool = <T>(name: string, act: (pool: PoolRecord, nowMs: number) => T): T | null => {
    const pool = pools.get(name);
    return pool ? act(pool, clock()) : null;
  };

  return {
    async settle(name, statements) {
      return withPool(name, (pool, nowMs) => settle(pool, statements, nowMs));
    },
    async configure(facts) {
      const pool = configured(pools.get(facts.pool), facts, clock());
      pools.set(facts.pool, pool);
      return pool.version;
    },
    async observe(name, findings) {
      return withPool(name, (pool, nowMs) => observe(pool, findings, nowMs));
    },
    async setMode(name, backend, mode) {
      return withPool(name, (pool) => setMode(pool, backend, mode));
    },
    async read(name) {
      return withPool(name, (pool, nowMs) => {
        mendClock(pool, nowMs);
        expireGateways(pool, new Set(), nowMs);
        returnUnproven(pool, nowMs);
        return state(pool);
      });
    },
    async rows(name) {
      const rows: Rows = {};
      for (const [id, gateway] of pools.get(name)?.gateways ?? []) rows[id] = Object.fromEntries(gateway.row);
      return rows;
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
  expireGateways(pool, new Set(statements.map((s) => s.gateway)), nowMs);
  const newest = new Map<string, number>();
  for (const s of statements) newest.set(s.gateway, Math.max(s.seq, newest.get(s.gateway) ?? 0));
  const replies = statements.map((s) =>
    s.seq === newest.get(s.gateway) ? apply(pool, s, nowMs) : refused(s),
  );
  returnUnproven(pool, nowMs);
  observeOutcomes(
    pool,
    statements.filter((_, i) => replies[i]?.status === "applied"),
    nowMs,
  );
  const wants = statements.reduce(
    (sum, s, i) => sum + (replies[i]?.status === "applied" ? s.wants.length : 0),
    0,
  );
  if (wants > 0) renumber(pool, wants);
  statements.forEach((s, i) => {
    if (replies[i]?.status === "applied")
      replies[i].picks = s.wants.map((w) => pick(pool, s.gateway, w.exclude ?? []));
  });
  return { version: pool.version, replies };
}

const refused = (s: Statement): Reply => ({ status: "stale", resync: false, picks: s.wants.map(() => null) });

function apply(pool: PoolRecord, s: Statement, nowMs: number): Reply {
  const known = pool.gateways.get(s.gateway);
  if (known && s.seq <= known.seq) return refused(s);
  const row = s.full || !known ? new Map<string, number>() : known.row;
  for (const [backend, n] of Object.entries(s.held)) {
    if (n > 0) row.set(backend, n);
    else row.delete(backend);
  }
  pool.gateways.set(s.gateway, { seq: s.seq, seenMs: nowMs, row });
  return { status: "applied", resync: !s.full && known?.seq !== s.seq - 1, picks: [] };
}

/** A clock that was set back must not keep dead gateways, or backends that are out, for as long as it went back. */
function mendClock(pool: PoolRecord, nowMs: number): void {
  for (const gateway of pool.gateways.values()) gateway.seenMs = Math.min(gateway.seenMs, nowMs);
  for (const { health } of pool.backends.values()) {
    health.untilMs = Math.min(health.untilMs, nowMs + pool.facts.holdMs);
  }
}

function expireGateways(pool: PoolRecord, stating: ReadonlySet<string>, nowMs: number): void {
  for (const [id, gateway] of pool.gateways) {
    if (gateway.seenMs <= nowMs - GATEWAY_TTL_MS && !stating.has(id)) pool.gateways.delete(id);
  }
}

function observeOutcomes(pool: PoolRecord, statements: readonly Statement[], nowMs: number): void {
  let changed = false;
  for (const s of statements) {
    for (const [id, outcomes] of Object.entries(s.outcomes)) {
      const backend = pool.backends.get(id);
      if (!backend) continue;
      if (outcomes.success > 0) backend.ewmaUs = averaged(backend.ewmaUs, outcomes);
      const before = backend.health;
      backend.health = observeTraffic(
        before,
        outcomes.failuresInRow,
        outcomes.success > 0,
        pool.facts,
        nowMs,
      );
      if (backend.health.health !== before.health) changed = true;
    }
  }
  if (changed) reindex(pool);
}

/** Batches carry a mean and a count: k samples move the estimate k / (k + span) of the way. */
function averaged(ewmaUs: number, { success, latencyUs }: Outcomes): number {
  if (ewmaUs === 0) return latencyUs;
  return Math.floor(ewmaUs + ((latencyUs - ewmaUs) * success) / (success + EWMA_SPAN) + 0.5);
}

function observe(pool: PoolRecord, findings: readonly Finding[], nowMs: number): Transition[] {
  const transitions: Transition[] = [];
  for (const { backend: id, url, ok } of findings) {
    const backend = pool.backends.get(id);
    if (backend?.facts.url !== url) continue;
    const before = backend.health;
    backend.health = observeProbe(before, ok, pool.facts, nowMs);
    if (before.health === backend.health.health) continue;
    transitions.push({
      backend: id,
      from: before.health,
      to: backend.health.health,
      reason: backend.health.reason,
    });
  }
  if (transitions.length > 0) reindex(pool);
  return transitions;
}

function returnUnproven(pool: PoolRecord, nowMs: number): void {
  let changed = false;
  for (const backend of pool.backends.values()) {
    const next = observeTime(backend.health, pool.facts, nowMs);
    if (next === backend.health) continue;
    backend.health = next;
    changed = true;
  }
  if (changed) reindex(pool);
}

function setMode(pool: PoolRecord, id: string, mode: Mode): boolean {
  const backend = pool.backends.get(id);
  if (!backend) return false;
  if (backend.mode !== mode) {
    backend.mode = mode;
    reindex(pool);
  }
  return true;
}

/** A new version and anew who may be picked. Newcomers take their turn from now on, not the turns they missed. */
function reindex(pool: PoolRecord): void {
  const all = [...pool.backends.values()];
  pool.version += 1;
  pool.panic = isPanic(all.map((b) => ({ health: b.health.health, mode: b.mode })));
  const eligible = all.filter((b) => b.mode === "active" && (pool.panic || b.health.health === "healthy"));
  const staying = eligible.filter((b) => b.effectiveWeight !== null);
  const leastTurns = staying.length === 0 ? 0 : Math.min(...staying.map((b) => b.turns / b.facts.weight));
  for (const b of all) {
    const newcomer = b.effectiveWeight === null;
    b.effectiveWeight = eligible.includes(b) ? b.facts.weight : null;
    if (newcomer && b.effectiveWeight !== null) {
      b.turns = Math.max(b.turns, Math.floor(leastTurns * b.facts.weight));
    }
  }
}

function pick(pool: PoolRecord, gateway: string, exclude: readonly string[]): string | null {
  let best: string | null = null;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const [id, backend] of pickable(pool)) {
    const value = scoreOf(pool, id, backend);
    if (value < bestScore || (value === bestScore && best !== null && id < best)) {
      if (exclude.includes(id)) continue;
      best = id;
      bestScore = value;
    }
  }
  if (best === null) return null;
  const chosen = pool.backends.get(best) as Backend;
  pool.tick += 1;
  chosen.pickedTick = pool.tick;
  if (pool.facts.policy === "round-robin") chosen.turns += 1;
  const row = pool.gateways.get(gateway)?.row as Map<string, number>;
  row.set(best, (row.get(best) ?? 0) + 1);
  return best;
}

const pickable = (pool: PoolRecord): [string, Backend][] =>
  [...pool.backends].filter(
    ([id, b]) =>
      b.effectiveWeight !== null && inflight(pool, id) < (b.facts.maxInflight ?? Number.POSITIVE_INFINITY),
  );

function scoreOf(pool: PoolRecord, id: string, backend: Backend): number {
  return score(pool.facts.policy, loadFacts(pool, id, backend), backend.pickedTick);
}

const loadFacts = (pool: PoolRecord, id: string, backend: Backend) => ({
  inflight: inflight(pool, id),
  turns: backend.turns,
  weight: backend.effectiveWeight ?? backend.facts.weight,
});

const inflight = (pool: PoolRecord, id: string): number => {
  let sum = 0;
  for (const gateway of pool.gateways.values()) sum += gateway.row.get(id) ?? 0;
  return sum;
};

/** Keeps ticks and turns inside what a score can hold, without changing who is next. */
function renumber(pool: PoolRecord, wants: number): void {
  if (pool.tick + wants > TICK_MAX) {
    const picked = [...pool.backends.values()].filter((b) => b.pickedTick > 0);
    picked.sort((a, b) => a.pickedTick - b.pickedTick);
    picked.forEach((b, i) => {
      b.pickedTick = i + 1;
    });
    pool.tick = picked.length;
  }
  if (pool.facts.policy !== "round-robin") return;
  const loads = pickable(pool).map(([id, b]) => LOADS["round-robin"](loadFacts(pool, id, b)));
  const least = Math.min(...loads);
  if (loads.length === 0 || least < TURNS_REBASE_LOAD) return;
  for (const b of pool.backends.values()) {
    b.turns = Math.max(0, b.turns - Math.floor(least) * b.facts.weight);
  }
}

function configured(old: PoolRecord | undefined, facts: PoolFacts, nowMs: number): PoolRecord {
  if (old && old.facts.configVersion >= facts.configVersion) return old;
  const pool: PoolRecord = old ?? {
    facts,
    version: nowMs,
    tick: 0,
    panic: false,
    backends: new Map(),
    gateways: new Map(),
  };
  const keepTurns = old?.facts.policy === facts.policy;
  pool.facts = facts;
  pool.backends = new Map(
    facts.backends.map((f) => [f.id, backendFrom(pool.backends.get(f.id), f, keepTurns, nowMs)]),
  );
  reindex(pool);
  return pool;
}

function backendFrom(
  old: Backend | undefined,
  facts: BackendFacts,
  keepTurns: boolean,
  nowMs: number,
): Backend {
  const moved = old?.facts.url !== facts.url;
  return {
    facts,
    health: old && !moved ? old.health : initialHealth(nowMs),
    mode: old?.mode ?? "active",
    pickedTick: old?.pickedTick ?? 0,
    // The load stays, so that a new weight changes the rate from now on and nothing is caught up.
    turns: old && keepTurns ? Math.floor((old.turns * facts.weight) / old.facts.weight) : 0,
    ewmaUs: old && !moved ? old.ewmaUs : 0,
    effectiveWeight: old?.effectiveWeight ?? null,
  };
}

function state(pool: PoolRecord): PoolState {
  const { policy } = pool.facts satisfies { policy: Policy };
  const backends = [...pool.backends.values()].map((b) => backendState(pool, b));
  backends.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { pool: pool.facts.pool, version: pool.version, policy, panic: pool.panic, backends };
}

const backendState = (pool: PoolRecord, b: Backend): BackendState => ({
  ...b.facts,
  effectiveWeight: b.effectiveWeight ?? 0,
  inflight: inflight(pool, b.facts.id),
  health: b.health.health,
  reason: b.health.reason,
  sinceMs: b.health.sinceMs,
  mode: b.mode,
  ready: b.mode === "active" && b.health.health === "healthy",
  ewmaMs: b.ewmaUs === 0 ? null : b.ewmaUs / 1_000,
});
