// What the model keeps of a pool: the rows are the facts, `counts` is their sum.
import type { HealthState, Mode } from "../../health/state.ts";
import type { FailureWindow } from "../../health/window.ts";
import type { Learned, Neutral } from "../estimate.ts";
import type { AgentWish, BackendFacts, PoolFacts } from "../ledger.ts";
import { score } from "../score.ts";
import type { Log } from "./log.ts";

export interface Backend {
  facts: BackendFacts;
  rank: number;
  health: HealthState;
  /** In which its failures are counted; null while nothing is. */
  window: FailureWindow | null;
  mode: Mode;
  /** When the last probe that counted was due. */
  probedMs: number | null;
  /** And when it last said so. */
  agent: (AgentWish & { atMs: number }) | null;
  pickedTick: number;
  turns: number;
  learned: Learned;
  /** What was learned, as it enters the load, and when that was last worked out. */
  bias: number;
  judgedMs: number;
  /** With its tier's share; null while it may not be picked. */
  fullWeight: number | null;
  /** With slow start. */
  effectiveWeight: number | null;
  /** When slow start began; null when it is over. */
  joinedMs: number | null;
}

export interface Gateway {
  seq: number;
  seenMs: number;
  row: Map<string, number>;
}

export interface PoolRecord {
  facts: PoolFacts;
  version: number;
  tick: number;
  panic: boolean;
  backends: Map<string, Backend>;
  gateways: Map<string, Gateway>;
  /** Backend → sum over the rows, without zeros; also of backends that have left. */
  counts: Map<string, number>;
  /** Sum of the effective weights. */
  totalWeight: number;
  /** Running sums of the full weights of those that may be picked, for a draw by weight. */
  draws: { id: string; upTo: number }[];
  chance: number;
  /** `round-robin`: how far the turns are, as a load. Who comes, or comes back from being full, goes on from here. */
  turn: number;
  /** When the weights in slow start were last brought up to date. */
  rampedMs: number;
  /** From when on statements are learned from again, where what is learned is only shown. */
  learnsAtMs: number;
  neutral: Neutral;
  log: Log;
}

/** A backend that may be picked, were it not full. */
export type Eligible = Backend & { fullWeight: number; effectiveWeight: number };

export const inflight = (pool: PoolRecord, id: string): number => pool.counts.get(id) ?? 0;

export function count(pool: PoolRecord, id: string, delta: number): void {
  const next = inflight(pool, id) + delta;
  if (next > 0) pool.counts.set(id, next);
  else pool.counts.delete(id);
}

export const isEligible = (backend: Backend): backend is Eligible => backend.effectiveWeight !== null;

export const hasRoom = (pool: PoolRecord, id: string, { facts }: Backend): boolean =>
  inflight(pool, id) < (facts.maxInflight ?? Number.POSITIVE_INFINITY);

/** What `order` holds in Redis. */
export const pickable = (pool: PoolRecord): [string, Eligible][] =>
  [...pool.backends].filter(
    (entry): entry is [string, Eligible] => isEligible(entry[1]) && hasRoom(pool, ...entry),
  );

export const scoreOf = (pool: PoolRecord, id: string, b: Eligible): number =>
  score(
    pool.facts,
    {
      inflight: inflight(pool, id),
      turns: b.turns,
      weight: b.effectiveWeight,
      rank: b.rank,
      bias: b.bias,
      slots: b.facts.slots ?? 0,
    },
    b.pickedTick,
  );
