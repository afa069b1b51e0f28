// Who may be picked, before any policy: active, healthy (or everyone, in panic), and of a tier that is needed; and with
// which share of its weight. Pure, and one rule for all: the ledger, and a gateway that has to decide by itself.
import type { Health, Mode } from "../health/state.ts";

/** A tier keeps all of the load down to 1 ÷ 1.4 = 71 % of it healthy (Envoy's overprovisioning factor). */
const OVERPROVISION = 1.4;

/** Effective weights are multiples of this: then sums of them are exact, in any order. */
const WEIGHT_STEP = 1 / 1_024;

export interface Candidate {
  id: string;
  weight: number;
  priority: number;
  health: Health;
  mode: Mode;
}

export interface Eligibility {
  /** The healthy ones cannot be expected to carry the load, so every active one is used. */
  panic: boolean;
  /** Exactly those that may be picked → weight, with its tier's share, before slow start. */
  weights: Map<string, number>;
}

interface Tier {
  active: Candidate[];
  healthy: Candidate[];
  /** Percent of the load. */
  share: number;
}

export const roundWeight = (weight: number): number =>
  Math.max(Math.floor(weight / WEIGHT_STEP + 0.5), 1) * WEIGHT_STEP;

export function eligibility(candidates: Iterable<Candidate>, panicPercent: number): Eligibility {
  const tiers = tiersOf(candidates);
  let wanting = 100;
  let active = 0;
  let healthy = 0;
  for (const tier of tiers) {
    active += tier.active.length;
    healthy += tier.healthy.length;
    const able = Math.min(100, Math.floor((100 * OVERPROVISION * tier.healthy.length) / tier.active.length));
    tier.share = Math.min(able, wanting);
    wanting -= tier.share;
  }
  const panic = wanting > 0 && healthy * 100 < active * panicPercent;
  if (panic) trustNoHealth(tiers);
  return { panic, weights: shared(tiers, Math.max(1, 100 - wanting)) };
}

function tiersOf(candidates: Iterable<Candidate>): Tier[] {
  const tiers = new Map<number, Tier>();
  for (const candidate of candidates) {
    if (candidate.mode !== "active") continue;
    const tier = tiers.get(candidate.priority) ?? { active: [], healthy: [], share: 0 };
    tiers.set(candidate.priority, tier);
    tier.active.push(candidate);
    if (candidate.health === "healthy") tier.healthy.push(candidate);
  }
  return [...tiers].sort(([a], [b]) => a - b).map(([, tier]) => tier);
}

/** Tiers keep their shares, and are used whole; without a healthy backend anywhere, the first has all of the load. */
function trustNoHealth(tiers: readonly Tier[]): void {
  const [first] = tiers;
  if (first && tiers.every(({ share }) => share === 0)) first.share = 1;
  for (const tier of tiers) tier.healthy = tier.active;
}

/** In proportion to the tiers' shares; with one tier, the weights as they are. */
function shared(tiers: readonly Tier[], shares: number): Map<string, number> {
  const used = tiers.filter((tier) => tier.share > 0);
  const sum = (backends: readonly Candidate[]) => backends.reduce((total, { weight }) => total + weight, 0);
  const total = used.reduce((all, tier) => all + sum(tier.healthy), 0);
  const weights = new Map<string, number>();
  for (const { healthy, share } of used) {
    const factor = (share * total) / (shares * sum(healthy));
    for (const { id, weight } of healthy)
      weights.set(id, used.length === 1 ? weight : roundWeight(weight * factor));
  }
  return weights;
}
