// The picks: who serves a want. A pick looks at every backend here; the Redis ledger reads as few as answer the same.
import type { Policy } from "../../config/schema-scheduling.ts";
import { isUsed } from "../agent.ts";
import { nextChance, share } from "../chance.ts";
import type { PoolFacts, Preference, Want } from "../ledger.ts";
import { scoreOfLoad, TICK_MAX, TURNS_REBASE_LOAD } from "../score.ts";
import { paceOf, partOf } from "../slow-start.ts";
import { turnsAt } from "./membership.ts";
import {
  type Backend,
  type Eligible,
  type Gateway,
  hasRoom,
  inflight,
  isEligible,
  type PoolRecord,
  scoreOf,
} from "./record.ts";
import { hold } from "./rows.ts";

/** Draws for one want; where none of them can be used, the lowest score is. */
const DRAWS_MAX = 8;

type Choice = (pool: PoolRecord, want: Want) => string | null;

/** How a policy picks, where that is not the lowest score. */
const CHOICES: Partial<Record<Policy, Choice>> = {
  random: (pool, want) => drawOther(pool, want, null, DRAWS_MAX).id,
  "two-choices": twoChoices,
  hash: (pool, want) =>
    want.ranked?.find(
      (id) =>
        usable(pool, want, id) &&
        !tooSoon(pool, pool.backends.get(id) as Eligible) &&
        inflight(pool, id) + 1 <= boundOf(pool, id),
    ) ?? null,
};

/** Picks, and counts one more in the row of the gateway. */
export function pick(pool: PoolRecord, gateway: Gateway, want: Want, nowMs: number): string | null {
  const bound = sticking(pool, want) ?? preferred(pool, want, nowMs);
  const id = bound ?? byPolicy(pool, want);
  if (id === null) return null;
  const chosen = pool.backends.get(id) as Backend;
  pool.tick += 1;
  chosen.pickedTick = pool.tick;
  if (pool.facts.policy === "round-robin" && bound === null) takeTurn(pool, chosen as Eligible);
  hold(pool, gateway, id, (gateway.row.get(id) ?? 0) + 1);
  return id;
}

const sticking = (pool: PoolRecord, want: Want): string | null =>
  want.stick !== undefined && usable(pool, want, want.stick) ? want.stick : null;

/** Bound by the route, not chosen: tiers say nothing of it, and panic does not make it ready. */
function preferred(pool: PoolRecord, { prefer, exclude }: Want, nowMs: number): string | null {
  if (prefer === undefined) return null;
  const backend = pool.backends.get(prefer.backend);
  if (!backend || !isUsed(backend.mode, backend.agent) || backend.health.health !== "healthy") return null;
  const { id } = backend.facts;
  if (!hasRoom(pool, id, backend) || exclude?.includes(id)) return null;
  return inflight(pool, id) < belowNow(pool, prefer, backend, nowMs) ? id : null;
}

const belowNow = (pool: PoolRecord, { below }: Preference, { joinedMs }: Backend, nowMs: number): number =>
  joinedMs === null || pool.panic ? below : partOf(below, joinedMs, nowMs, pool.facts);

/** What its preferred backend has no room for is kept off it as long as anybody else may take it. */
function byPolicy(pool: PoolRecord, want: Want): string | null {
  if (want.prefer === undefined) return choose(pool, want);
  const exclude = [...(want.exclude ?? []), want.prefer.backend];
  return choose(pool, { ...want, exclude }) ?? choose(pool, want);
}

const choose = (pool: PoolRecord, want: Want): string | null =>
  CHOICES[pool.facts.policy]?.(pool, want) ?? lowest(pool, want, true) ?? lowest(pool, want, false);

/** Who could not be picked for a while takes one turn at once, then goes on with the others: nothing is caught up. */
function takeTurn(pool: PoolRecord, chosen: Eligible): void {
  pool.turn = Math.max(pool.turn, chosen.turns / chosen.effectiveWeight);
  chosen.turns = Math.max(chosen.turns, turnsAt(pool.turn, chosen.effectiveWeight)) + 1;
}

function usable(pool: PoolRecord, want: Want, id: string): boolean {
  const backend = pool.backends.get(id);
  return (
    backend !== undefined && isEligible(backend) && hasRoom(pool, id, backend) && !want.exclude?.includes(id)
  );
}

/** @param paced whether those in slow start keep their pace; they need not where nobody else is left */
function lowest(pool: PoolRecord, want: Want, paced: boolean): string | null {
  let best: { id: string; rank: Rank } | null = null;
  for (const [id, backend] of pool.backends) {
    if (!isEligible(backend) || !hasRoom(pool, id, backend)) continue;
    if (want.exclude?.includes(id) || (paced && tooSoon(pool, backend))) continue;
    const rank = rankOf(pool, want, scoreOf(pool, id, backend), backend.facts.zone);
    if (best === null || before(rank, best.rank) || (!before(best.rank, rank) && id < best.id)) {
      best = { id, rank };
    }
  }
  return best?.id ?? null;
}

const tooSoon = (pool: PoolRecord, { joinedMs, pickedTick, effectiveWeight }: Eligible): boolean =>
  joinedMs !== null && !pool.panic && pool.tick + 1 - pickedTick < paceOf(effectiveWeight, pool.totalWeight);

/** Compared part by part. */
type Rank = readonly [full: number, distance: number, score: number];

function before(a: Rank, b: Rank): boolean {
  if (a[0] !== b[0]) return a[0] < b[0];
  return a[1] === b[1] ? a[2] < b[2] : a[1] < b[1];
}

/**
 * `geo`: the nearest with room; where nobody has room, whoever is least over it. `criteria`: the distance is one more
 * term of the load, the same for all backends of a zone.
 */
function rankOf(pool: PoolRecord, want: Want, own: number, zone: string | null): Rank {
  const { policy, spillAt } = pool.facts;
  if (policy === "geo") {
    const full = own >= scoreOfLoad(spillAt);
    return full ? [1, 0, own] : [0, distance(pool.facts, want, zone), own];
  }
  if (policy === "criteria") {
    return [0, own + distanceScore(pool.facts, distance(pool.facts, want, zone)), own];
  }
  return [0, 0, own];
}

/** A request from nowhere is equally near to all. */
const distance = ({ distances }: PoolFacts, { zone: from }: Want, to: string | null): number =>
  (from !== undefined && to !== null ? distances[from]?.[to] : undefined) ?? 0;

function distanceScore({ criteria }: PoolFacts, distance: number): number {
  const criterion = criteria.find(({ name }) => name === "distance");
  return criterion ? scoreOfLoad((distance * criterion.weight) / criterion.scale) : 0;
}

/** Its share of all that is in flight on those that may be picked, with this one, times the bound; at least 1. */
function boundOf(pool: PoolRecord, id: string): number {
  const { effectiveWeight } = pool.backends.get(id) as Eligible;
  let total = 0;
  for (const [other, b] of pool.backends) if (isEligible(b)) total += inflight(pool, other);
  return Math.ceil((pool.facts.hashBound * (total + 1) * effectiveWeight) / pool.totalWeight);
}

function twoChoices(pool: PoolRecord, want: Want): string | null {
  const first = drawOther(pool, want, null, DRAWS_MAX);
  const second = drawOther(pool, want, first.id, first.left);
  if (first.id === null || second.id === null) return first.id;
  return drawnScore(pool, second.id) < drawnScore(pool, first.id) ? second.id : first.id;
}

const drawnScore = (pool: PoolRecord, id: string) => scoreOf(pool, id, pool.backends.get(id) as Eligible);

/** Draws by weight until one can be used and is not `other`; a starting backend turns down what exceeds its weight. */
function drawOther(pool: PoolRecord, want: Want, other: string | null, draws: number) {
  let left = draws;
  while (left > 0 && pool.draws.length > 0) {
    left -= 1;
    const id = draw(pool);
    const { fullWeight, effectiveWeight } = pool.backends.get(id) as Eligible;
    if (effectiveWeight < fullWeight && chance(pool) * fullWeight > effectiveWeight) continue;
    if (id !== other && usable(pool, want, id)) return { id, left };
  }
  return { id: null, left };
}

function draw(pool: PoolRecord): string {
  const { draws } = pool;
  const at = chance(pool) * (draws[draws.length - 1]?.upTo ?? 0);
  return (draws.find(({ upTo }) => upTo > at) as { id: string }).id;
}

function chance(pool: PoolRecord): number {
  pool.chance = nextChance(pool.chance);
  return share(pool.chance);
}

/** Keeps ticks and turns inside what a score can hold, without changing who is next. */
export function renumber(pool: PoolRecord, wants: number): void {
  if (pool.tick + wants > TICK_MAX) renumberTicks(pool);
  if (pool.facts.policy === "round-robin") rebaseTurns(pool);
}

function renumberTicks(pool: PoolRecord): void {
  const picked = [...pool.backends.values()].filter((b) => b.pickedTick > 0);
  picked.sort((a, b) => a.pickedTick - b.pickedTick);
  picked.forEach((b, i) => {
    b.pickedTick = i + 1;
  });
  pool.tick = picked.length;
}

function rebaseTurns(pool: PoolRecord): void {
  const past = Math.floor(pool.turn);
  if (past < TURNS_REBASE_LOAD) return;
  pool.turn -= past;
  for (const b of pool.backends.values()) {
    if (isEligible(b)) b.turns = Math.max(0, b.turns - past * b.effectiveWeight);
  }
}
