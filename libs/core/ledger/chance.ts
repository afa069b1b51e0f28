// Chance as part of the ledger's state, so that the two ledgers draw alike: the minimal standard generator, whose
// products stay below 2^53 and are therefore exact in doubles (Park and Miller, CACM 1988; multiplier of 1993).
const MULTIPLIER = 48_271;
const MODULUS = 2 ** 31 - 1;

export const FIRST_CHANCE = 20_261_121;

export const nextChance = (chance: number): number => (chance * MULTIPLIER) % MODULUS;

/** Between 0 and 1, neither included. */
export const share = (chance: number): number => chance / MODULUS;
