// Seeded chance. Every purpose has a stream of its own, so that a policy that draws more often than another does not
// change which requests arrive: all policies of a comparison see the same arrivals and the same demands.

/** A number in [0, 1). */
export type Random = () => number;

/** An independent stream per seed and purpose. */
export function createRandom(seed: number, purpose: string): Random {
  let a = mixed(seed);
  let b = mixed(a ^ 0x9e3779b9);
  for (let i = 0; i < purpose.length; i += 1) b = mixed(b ^ purpose.charCodeAt(i));
  let c = mixed(a ^ b);
  let counter = 1;
  // Small fast counting generator (128 bits of state, passes PractRand), after Doty-Humphrey.
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

function mixed(x: number): number {
  let h = (x + 0x6d2b79f5) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export const exponential = (random: Random, mean: number): number => -mean * Math.log(1 - random());

/** How long a request keeps a slot of a backend of speed 1. */
export type Demand =
  | { kind: "exponential"; meanMs: number }
  | { kind: "constant"; meanMs: number }
  /** `share` of the requests take `longMs`, the rest `shortMs`. */
  | { kind: "bimodal"; shortMs: number; longMs: number; share: number };

export function drawDemand(demand: Demand, random: Random): number {
  if (demand.kind === "exponential") return exponential(random, demand.meanMs);
  if (demand.kind === "constant") return demand.meanMs;
  return random() < demand.share ? demand.longMs : demand.shortMs;
}

export function meanDemandMs(demand: Demand): number {
  if (demand.kind !== "bimodal") return demand.meanMs;
  return demand.share * demand.longMs + (1 - demand.share) * demand.shortMs;
}
