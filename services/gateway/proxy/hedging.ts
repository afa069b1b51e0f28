// Hedging: when a request takes longer than most of its pool's, another backend is asked beside it, and the first answer
// counts. Here is when that is worth it, and how often it may be done; the exchange does it. Where all of a pool is slow,
// what is usual becomes slow with it and the budget runs out, so hedging never doubles the load of a pool in trouble.

/** The default of the field: a twentieth of the requests waits longer than this. */
export const HEDGE_QUANTILE = 0.95;

/** Buckets per doubling: an estimate is at most 2^(1/8) = 9 % above what it stands for. */
const PER_DOUBLING = 8;
/** ms; what is faster is as good as this. */
const LOWEST_MS = 0.125;
/** From `LOWEST_MS` up to 2^23 times that, 17 minutes; what is slower counts there. */
const BUCKETS = 23 * PER_DOUBLING;
/** Observations after which all of them count half: the estimate is that of the last one or two thousand. */
const HALVE_EVERY = 1_024;
/** Observations before the first estimate: fewer say nothing of the slowest twentieth. */
const OBSERVATIONS_MIN = 100;
/** Observations between two looks at all buckets. */
const ESTIMATE_EVERY = 64;
/** ms; what a timer can do, and what a second attempt would cost anyway. */
const DELAY_MIN_MS = 1;
/** Hedges that may be saved up, so that a quiet minute does not pay for a storm. */
const SAVED_MAX = 10;

export interface Hedge {
  /** For a request that may be hedged, once: after how long without an answer; null: not known yet. Earns its part. */
  delayMs(): number | null;
  /** That time is over: whether another backend may be asked. Takes one out of the budget. */
  spend(): boolean;
  /** An attempt's time to the header section of its answer. */
  observe(ms: number): void;
}

export interface HedgeSettings {
  /** Of the requests, to be sent twice at most. */
  budgetPercent: number;
  /** Of the pool's times to first byte, above 0 and below 1. */
  quantile: number;
}

export function createHedge({ budgetPercent, quantile }: HedgeSettings): Hedge {
  const times = createQuantile(quantile);
  /** Percent of a hedge: whole numbers stay exact. */
  let saved = 0;
  return {
    delayMs() {
      saved = Math.min(SAVED_MAX * 100, saved + budgetPercent);
      const usualMs = times.estimate();
      return usualMs === null ? null : Math.max(DELAY_MIN_MS, Math.ceil(usualMs));
    },
    spend() {
      if (saved < 100) return false;
      saved -= 100;
      // The slower attempt is given up and never observed. Were it left out, each hedge would make the estimate smaller,
      // and that would make more hedges.
      times.observeSlow();
      return true;
    },
    observe: times.observe,
  };
}

export interface Quantile {
  observe(ms: number): void;
  /** One that was longer than the present estimate, nobody knows how long. */
  observeSlow(): void;
  /** ms, rounded up to the end of a bucket; null while too little was observed. */
  estimate(): number | null;
}

/** A quantile of a stream, in bounded memory: counts in buckets that grow by a constant factor, fading with what follows. */
export function createQuantile(quantile: number): Quantile {
  const counts = new Float64Array(BUCKETS);
  let total = 0;
  let estimated = -1;
  let untilHalved = HALVE_EVERY;
  let untilEstimated = OBSERVATIONS_MIN;

  const add = (bucket: number): void => {
    counts[bucket] = (counts[bucket] as number) + 1;
    total += 1;
    untilHalved -= 1;
    if (untilHalved === 0) halve();
    untilEstimated -= 1;
    if (untilEstimated > 0) return;
    untilEstimated = ESTIMATE_EVERY;
    estimated = bucketAt(quantile * total);
  };

  const halve = (): void => {
    untilHalved = HALVE_EVERY;
    total = 0;
    for (let i = 0; i < BUCKETS; i += 1) {
      const half = (counts[i] as number) / 2;
      counts[i] = half;
      total += half;
    }
  };

  /** The first bucket up to whose end so many lie. */
  const bucketAt = (rank: number): number => {
    let sum = 0;
    for (let i = 0; i < BUCKETS; i += 1) {
      sum += counts[i] as number;
      if (sum >= rank) return i;
    }
    return BUCKETS - 1;
  };

  return {
    observe(ms) {
      add(bucketOf(ms));
    },
    observeSlow() {
      add(Math.min(BUCKETS - 1, estimated + 1));
    },
    estimate: () => (estimated < 0 ? null : endOf(estimated)),
  };
}

/** What is no number, or below the first bucket, is in the first. */
function bucketOf(ms: number): number {
  if (!(ms > LOWEST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / LOWEST_MS) * PER_DOUBLING));
}

const endOf = (bucket: number): number => LOWEST_MS * 2 ** ((bucket + 1) / PER_DOUBLING);
