// The pick a gateway makes by itself when no scheduler answers, on what it last saw of the pool plus its own requests.
// It keeps what must not change with who decides: the session, the order of a hash, the nearest zone, the order of
// filling up, and a hybrid route's own backend, as far as this gateway may fill it alone. Else two choices drawn by weight,
// never the least loaded: on a stale view every gateway would herd onto the same backend (Mitzenmacher, "How useful is
// old information?", 2000).
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Policy } from "@evenkeel/core/config/schema-scheduling.ts";
import type { Preference, Want } from "@evenkeel/core/ledger/ledger.ts";

/** Draws per choice before giving up on finding one that can be used; then the rest is scanned. */
const DRAWS_MAX = 4;

/** A backend that may be picked, were it not full. */
export interface Candidate {
  id: string;
  /** Effective. */
  weight: number;
  zone: string | null;
  maxInflight: number | null;
  /** In flight through the other gateways when last seen. */
  others: number;
  /** In flight through this gateway at that time. */
  own: number;
  /** How far it has come in its slow start; 1 when it is in none. */
  risen: number;
}

/** The candidate as a route may prefer it: ready, of whatever tier. Null for any other backend. */
export type Ready = (backend: string) => Candidate | null;

/** @param held backend → in flight through this gateway */
export type Choose = (held: ReadonlyMap<string, number>, want: Want, random: () => number) => string | null;

/** One pick: who is how full, and who may serve it. */
interface Moment {
  want: Want;
  held: ReadonlyMap<string, number>;
  random: () => number;
  inflight(candidate: Candidate): number;
  usable(candidate: Candidate): boolean;
}

type Choice = (moment: Moment) => Candidate | null;

/** How a policy chooses, where that is not by two choices, or before it is. */
const CHOICES: Partial<Record<Policy, (pool: Pool, candidates: readonly Candidate[]) => Choice>> = {
  first: inOrder,
  geo: nearest,
  hash: ranked,
};

export function createFallback(pool: Pool, candidates: readonly Candidate[], ready: Ready): Choose {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const own = CHOICES[pool.policy]?.(pool, candidates);
  const draw = byWeight(candidates);
  const choose = (moment: Moment): string | null => {
    const chosen =
      own?.(moment) ?? twoChoices(draw, moment, moment.usable) ?? leastCertain(candidates, moment);
    return chosen?.id ?? null;
  };
  return (held, want, random) => {
    const moment = momentOf(held, want, random);
    const stuck = want.stick === undefined ? undefined : byId.get(want.stick);
    if (stuck && moment.usable(stuck)) return stuck.id;
    if (want.prefer === undefined) return choose(moment);
    const preferred = ready(want.prefer.backend);
    if (preferred && moment.usable(preferred) && isBelow(preferred, want.prefer, held)) return preferred.id;
    const exclude = [...(want.exclude ?? []), want.prefer.backend];
    return choose(momentOf(held, { ...want, exclude }, random)) ?? choose(moment);
  };
}

/**
 * What the others have there is not known now, and they know as little, so nobody may take what was free for itself: each
 * gateway has a part of the bound as large as its part of what was in flight there when last seen. One more of its own
 * and one of somebody else's are reckoned in, so that from an idle backend it has half of the bound, and with many in
 * flight the parts of all gateways come to the whole. At least one.
 */
function isBelow(
  { id, own, others, risen }: Candidate,
  { below }: Preference,
  held: ReadonlyMap<string, number>,
): boolean {
  const part = (own + 1) / (own + others + 2);
  return (held.get(id) ?? 0) < Math.max(1, Math.floor(below * risen * part));
}

function momentOf(held: ReadonlyMap<string, number>, want: Want, random: () => number): Moment {
  const inflight = ({ id, others }: Candidate) => others + (held.get(id) ?? 0);
  const usable = (candidate: Candidate) => hasRoom(candidate, inflight(candidate), want);
  return { want, held, random, inflight, usable };
}

const hasRoom = ({ id, maxInflight }: Candidate, inflight: number, { exclude }: Want): boolean =>
  inflight < (maxInflight ?? Number.POSITIVE_INFINITY) && !exclude?.includes(id);

/** Where all seem full by what the others once had, that is too old to refuse by: only our own still counts. */
const leastCertain = (candidates: readonly Candidate[], { held, want }: Moment): Candidate | undefined =>
  candidates.find((candidate) => hasRoom(candidate, held.get(candidate.id) ?? 0, want));

/** Candidates, to be drawn in proportion to their weights. */
interface Drawable {
  candidates: readonly Candidate[];
  /** Running sum of the weights. */
  upTo: Float64Array;
}

function byWeight(candidates: readonly Candidate[]): Drawable {
  let sum = 0;
  const upTo = Float64Array.from(candidates, ({ weight }) => {
    sum += weight;
    return sum;
  });
  return { candidates, upTo };
}

function drawn({ candidates, upTo }: Drawable, random: () => number): Candidate {
  const at = random() * (upTo[upTo.length - 1] as number);
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((upTo[middle] as number) > at) high = middle;
    else low = middle + 1;
  }
  return candidates[low] as Candidate;
}

function twoChoices(from: Drawable, moment: Moment, fits: Moment["usable"]): Candidate | null {
  const { candidates } = from;
  if (candidates.length === 0) return null;
  const load = (candidate: Candidate) => (moment.inflight(candidate) + 1) / candidate.weight;
  let best: Candidate | null = null;
  for (let found = 0, draws = 0; found < 2 && draws < 2 * DRAWS_MAX; draws += 1) {
    const next = drawn(from, moment.random);
    if (!fits(next)) continue;
    found += 1;
    if (best === null || load(next) < load(best)) best = next;
  }
  return best ?? candidates.find(fits) ?? null;
}

function inOrder({ backends }: Pool, candidates: readonly Candidate[]): Choice {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const ordered = backends.flatMap(({ id }) => byId.get(id) ?? []);
  return ({ usable }) => ordered.find(usable) ?? null;
}

/** The first in the order of the key that is not over its share of all that is in flight, as far as is known. */
function ranked({ hashBound }: Pool, candidates: readonly Candidate[]): Choice {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const totalWeight = candidates.reduce((sum, { weight }) => sum + weight, 0);
  const others = candidates.reduce((sum, candidate) => sum + candidate.others, 0);
  return ({ want, held, inflight, usable }) => {
    const total = held.values().reduce((sum, n) => sum + n, others + 1);
    for (const id of want.ranked ?? []) {
      const candidate = byId.get(id);
      if (!candidate || !usable(candidate)) continue;
      const bound = Math.ceil((hashBound * total * candidate.weight) / totalWeight);
      if (inflight(candidate) + 1 <= bound) return candidate;
    }
    return null;
  };
}

/** Two choices among the nearest that have room, as far as is known. */
function nearest({ distances, spillAt }: Pool, candidates: readonly Candidate[]): Choice {
  const rings = new Map<string | undefined, Drawable[]>();
  const ringsFrom = (zone: string | undefined): Drawable[] => {
    const distance = ({ zone: to }: Candidate) =>
      (zone !== undefined && to !== null ? distances[zone]?.[to] : undefined) ?? 0;
    const groups = [...Map.groupBy(candidates, distance)].sort(([a], [b]) => a - b);
    return groups.map(([, members]) => byWeight(members));
  };
  return (moment) => {
    const { zone } = moment.want;
    const known = rings.get(zone) ?? ringsFrom(zone);
    rings.set(zone, known); // as many as there are zones: others do not come here
    const fits = (candidate: Candidate) =>
      moment.usable(candidate) && (moment.inflight(candidate) + 0.5) / candidate.weight < spillAt;
    for (const ring of known) {
      const chosen = twoChoices(ring, moment, fits);
      if (chosen) return chosen;
    }
    return null;
  };
}
