// How many retries a pool may cause, so that a failing pool is not buried under repeats of what it failed to do.
// Earned per request and per second; what was earned fades, so the budget follows the traffic of the last seconds.

/** Retries earned by one request. */
const PER_REQUEST = 0.2;
/** Retries earned by one second, so that a pool with little traffic can retry too. */
const PER_SECOND = 10;
/** What was earned this long ago has faded to 1/e. */
const MEMORY_MS = 10_000;
/** What a pool without traffic can hold. */
const RESTING = PER_SECOND * (MEMORY_MS / 1_000);

export interface RetryBudget {
  /** A request came (a retry of one does not count). */
  earn(): void;
  /** Takes one retry; false when there is none left. */
  spend(): boolean;
}

/** @param clock ms, monotonic */
export function createRetryBudget(clock: () => number): RetryBudget {
  let balance = RESTING;
  let updatedMs = clock();

  const settle = () => {
    const nowMs = clock();
    const kept = Math.exp((updatedMs - nowMs) / MEMORY_MS);
    balance = RESTING + (balance - RESTING) * kept;
    updatedMs = nowMs;
  };

  return {
    earn() {
      settle();
      balance += PER_REQUEST;
    },
    spend() {
      settle();
      if (balance < 1) return false;
      balance -= 1;
      return true;
    },
  };
}
