// Weighted rendezvous hashing: for every key an order of the members, in which each comes first for its weight's share
// of all keys. Who leaves gives up only its own keys, who joins takes only what it gets, and whoever knows the same
// members and weights says the same. O(members) for a key, one logarithm only for those near the front.
import { fnv1a } from "../hash.ts";

export interface Member {
  id: string;
  weight: number;
}

/** The first `limit` ids for the hash of a key, 32 bits. */
export type Ranking = (keyHash: number) => string[];

const SPAN = 2 ** 32;

/** A member's place is a race: the time an exponential clock of its weight takes to ring, drawn from key and id. */
export function createRanking(members: readonly Member[], limit: number): Ranking {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const seeds = Uint32Array.from(sorted, ({ id }) => fnv1a(id));
  // A second hash, or two ids whose first one is the same would always follow each other.
  const factors = Uint32Array.from(sorted, ({ id }) => fnv1a(`\n${id}`) | 1);
  const paces = Float64Array.from(sorted, ({ weight }) => 1 / weight);
  const size = Math.min(limit, sorted.length);
  const times = new Float64Array(size);
  const places = new Int32Array(size);
  return (keyHash) => {
    let found = 0;
    for (let i = 0; i < seeds.length; i += 1) {
      const pace = paces[i] as number;
      const key = Math.imul(keyHash, factors[i] as number);
      const drawn = (mixed(key ^ (seeds[i] as number)) + 0.5) / SPAN;
      const worst = found === size ? (times[size - 1] as number) : Number.POSITIVE_INFINITY;
      if ((1 - drawn) * pace >= worst) continue; // 1 − u ≤ −ln u
      const time = -Math.log(drawn) * pace;
      if (time >= worst) continue;
      if (found < size) found += 1;
      let at = found - 1;
      for (; at > 0 && (times[at - 1] as number) > time; at -= 1) {
        times[at] = times[at - 1] as number;
        places[at] = places[at - 1] as number;
      }
      times[at] = time;
      places[at] = i;
    }
    const ids: string[] = new Array(found);
    for (let i = 0; i < found; i += 1) ids[i] = (sorted[places[i] as number] as Member).id;
    return ids;
  };
}

/** Spreads 32 bits over 32 bits, one to one (the finalizer of MurmurHash3, public domain). */
function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
