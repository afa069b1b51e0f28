// Who is in the pool and may be picked, with which weight.
import { initialHealth } from "../../health/state.ts";
import { modeWished, weightWished } from "../agent.ts";
import { FIRST_CHANCE } from "../chance.ts";
import { eligibility } from "../eligibility.ts";
import { isJudged, judge, noNeutral, nothingLearned } from "../estimate.ts";
import { type BackendFacts, MAX_NAMED, type PoolFacts } from "../ledger.ts";
import { RAMP_STEP_MS, ramped } from "../slow-start.ts";
import { append, emptyLog, type Happening, type Log } from "./log.ts";
import { type Backend, isEligible, type PoolRecord } from "./record.ts";

/** How long a judgement stands while nothing is reported, and how many are renewed per settle. */
const JUDGE_AFTER_MS = 200;
const JUDGE_AT_ONCE = 16;

/** Turns count in steps of this, so that their division by a weight is the same everywhere. */
const TURN_STEPS = 1_024;

/** @param log of a pool that begins: it goes on with the one it had before */
export function configured(
  old: PoolRecord | undefined,
  facts: PoolFacts,
  nowMs: number,
  log: Log = emptyLog(),
): PoolRecord {
  if (old && old.facts.configVersion >= facts.configVersion) return old;
  const pool: PoolRecord = old ?? emptyPool(facts, log, nowMs);
  const before = [...pool.backends.keys()];
  const samePolicy = pool.facts.policy === facts.policy;
  const stays = (f: BackendFacts) => pool.backends.get(f.id)?.facts.url === f.url;
  const joining = new Set(facts.backends.filter((f) => !stays(f)).map(({ id }) => id));
  pool.facts = facts;
  if (!samePolicy) pool.turn = 0;
  pool.backends = new Map(
    facts.backends.map((f, rank) => [f.id, backendFrom(pool, f, rank, samePolicy, nowMs)]),
  );
  if (isJudged(facts.policy)) for (const b of pool.backends.values()) judgeBackend(pool, b, nowMs);
  reindex(pool, joining, nowMs, [members(pool, joining, before)]);
  return pool;
}

function members(pool: PoolRecord, joining: ReadonlySet<string>, before: readonly string[]): Happening {
  const named = (ids: Iterable<string>) => [...ids].sort(byName).slice(0, MAX_NAMED);
  return {
    type: "members",
    configVersion: pool.facts.configVersion,
    joined: named(joining),
    left: named(before.filter((id) => !pool.backends.has(id))),
    size: pool.backends.size,
  };
}

const byName = (a: string, b: string) => (a < b ? -1 : 1);

const emptyPool = (facts: PoolFacts, log: Log, nowMs: number): PoolRecord => ({
  facts,
  version: nowMs,
  tick: 0,
  panic: false,
  backends: new Map(),
  gateways: new Map(),
  counts: new Map(),
  totalWeight: 0,
  draws: [],
  turn: 0,
  chance: FIRST_CHANCE,
  rampedMs: nowMs,
  learnsAtMs: 0,
  neutral: noNeutral(),
  log,
});

/** A new address is a new backend: what was found out about the old one is void, but not the operator's wish. */
function backendFrom(
  pool: PoolRecord,
  facts: BackendFacts,
  rank: number,
  samePolicy: boolean,
  nowMs: number,
): Backend {
  const old = pool.backends.get(facts.id);
  const { mode = "active", pickedTick = 0 } = old ?? {};
  if (old?.facts.url === facts.url)
    return { ...old, facts, rank, turns: samePolicy ? old.turns : 0, bias: 0 };
  return {
    facts,
    rank,
    health: initialHealth(pool.facts.initial, pool.facts, nowMs),
    window: null,
    mode,
    probedMs: null,
    agent: null,
    pickedTick,
    turns: 0,
    learned: nothingLearned(),
    bias: 0,
    judgedMs: nowMs,
    fullWeight: null,
    effectiveWeight: null,
    joinedMs: null,
  };
}

export function judgeBackend(pool: PoolRecord, backend: Backend, nowMs: number): void {
  backend.bias = judge(pool.facts, backend.facts, backend.learned, pool.neutral, nowMs);
  backend.judgedMs = nowMs;
}

/**
 * A new version and anew who may be picked.
 * @param joining backends that are new, were found healthy or were set active with this change: they start slowly,
 *   unless nobody else is there to carry the load meanwhile
 * @param happenings what made it necessary, for the log; at least one, so that versions of the log have no gaps
 */
export function reindex(
  pool: PoolRecord,
  joining: ReadonlySet<string>,
  nowMs: number,
  happenings: readonly Happening[],
): void {
  const { facts } = pool;
  const before = pool.panic;
  const { panic, weights } = eligibility(candidates(pool), facts.panicPercent);
  const staying = [...pool.backends.values()].filter((b) => isEligible(b) && weights.has(b.facts.id));
  const startSlowly = facts.slowStartMs > 0 && !panic && staying.length > 0;
  pool.version += 1;
  pool.panic = panic;
  pool.totalWeight = 0;
  for (const [id, b] of pool.backends) {
    if (startSlowly && joining.has(id) && b.fullWeight === null) b.joinedMs = nowMs;
    if (facts.slowStartMs === 0) b.joinedMs = null;
    b.fullWeight = weights.get(id) ?? null;
    setWeight(pool, b, nowMs);
  }
  pool.draws = runningSums(weights);
  const stamp = { version: pool.version, atMs: nowMs };
  append(pool.log, happenings, stamp);
  if (panic !== before) append(pool.log, [{ type: "panic", on: panic }], stamp);
}

const candidates = (pool: PoolRecord) =>
  [...pool.backends.values()].map(({ facts: { id, weight, priority }, health: { health }, mode, agent }) => ({
    id,
    weight: weightWished(weight, agent),
    priority,
    health,
    mode: modeWished(mode, agent),
  }));

/** Who comes to be picked takes its turn from now on; a new weight changes the rate from now on: nothing is caught up. */
function setWeight(pool: PoolRecord, b: Backend, nowMs: number): void {
  const before = b.effectiveWeight;
  const after = weightNow(pool, b, nowMs);
  b.effectiveWeight = after;
  if (after === null) return;
  pool.totalWeight += after;
  if (before === null) b.turns = turnsAt(pool.turn, after);
  else if (before !== after) b.turns = turnsAt(b.turns / before, after);
}

export const turnsAt = (load: number, weight: number): number =>
  Math.floor(load * weight * TURN_STEPS) / TURN_STEPS;

function weightNow(pool: PoolRecord, { fullWeight, joinedMs }: Backend, nowMs: number): number | null {
  if (fullWeight === null || joinedMs === null || pool.panic) return fullWeight;
  return ramped(fullWeight, joinedMs, nowMs, pool.facts);
}

function runningSums(weights: ReadonlyMap<string, number>): PoolRecord["draws"] {
  let upTo = 0;
  return [...weights]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, weight]) => {
      upTo += weight;
      return { id, upTo };
    });
}

/** Brings the weights of those in slow start up to date, every `RAMP_STEP_MS`. */
export function advanceSlowStart(pool: PoolRecord, nowMs: number): void {
  if (nowMs < pool.rampedMs + RAMP_STEP_MS) return;
  const starting = [...pool.backends.values()].filter((b) => b.joinedMs !== null);
  if (starting.length > 0) pool.rampedMs = nowMs;
  for (const b of starting) {
    if (nowMs - (b.joinedMs as number) >= pool.facts.slowStartMs) b.joinedMs = null;
    pool.totalWeight -= b.effectiveWeight ?? 0;
    setWeight(pool, b, nowMs);
  }
}

/** Time passes over what was learned: those judged longest ago are judged again, a few at a time. */
export function judgeStalest(pool: PoolRecord, nowMs: number): void {
  if (!isJudged(pool.facts.policy)) return;
  const stale = [...pool.backends.values()].filter((b) => b.judgedMs <= nowMs - JUDGE_AFTER_MS);
  stale.sort((a, b) => a.judgedMs - b.judgedMs || (a.facts.id < b.facts.id ? -1 : 1));
  for (const backend of stale.slice(0, JUDGE_AT_ONCE)) judgeBackend(pool, backend, nowMs);
}
