// How fast webhooks are sent to: growing waits between the attempts of one message, and less for a receiver that fails,
// so that one that is down holds up no other and is not hammered by a storm of events. Pure but for the clock and chance
// it is given.

const FIRST_WAIT_MS = 1_000;
const GROWTH = 3;
export const WAIT_MAX_MS = 300_000;
/** Of each wait, up and down, so that what failed together does not come back together. */
const JITTER = 0.2;
/** What a receiver may ask for. */
const RETRY_AFTER_MIN_MS = 1_000;
const RETRY_AFTER_MAX_MS = 600_000;

/** Messages under way to one webhook, of one monitor: fewer than it sends at once, so that there is room for others. */
export const TO_ONE_AT_ONCE = 6;
/** Failures in a row after which it is left alone for a while. */
const FAILURES_TO_REST = 3;
const REST_MAX_MS = 30_000;
/** A message that finds no room comes again after this, and as much again by chance. */
const BUSY_MS = 250;
const BUSY_FAILING_MS = 2_000;

/** Before the next attempt of a message, of which `failed` failed. @param chance in [0, 1) */
export function waitMs(failed: number, askedMs: number, chance: number): number {
  const grown = Math.min(WAIT_MAX_MS, FIRST_WAIT_MS * GROWTH ** (failed - 1));
  return Math.round(Math.max(askedMs, grown * (1 - JITTER + 2 * JITTER * chance)));
}

/** `retry-after` in either form; 0 where it says nothing. */
export function retryAfterMs(value: string | null, nowMs: number): number {
  if (value === null) return 0;
  const asked = /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  if (Number.isNaN(asked)) return 0;
  return Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, asked));
}

export interface Gate {
  /** 0: go ahead, and say `left` afterwards. Else come again after so many ms. @param fresh it was never tried */
  enter(fresh: boolean): number;
  /** @param askedMs how long the receiver asks to be left alone */
  left(sent: boolean, askedMs?: number): void;
}

/** One webhook's, in one monitor. */
export function createGate(clock: () => number, chance: () => number): Gate {
  let underWay = 0;
  let failures = 0;
  let restUntilMs = 0;
  return {
    enter(fresh) {
      const nowMs = clock();
      // Those that were tried have waits of their own; among them is the one that finds out that it is back.
      if (fresh && nowMs < restUntilMs) return Math.ceil((restUntilMs - nowMs) * (1 + chance()));
      if (underWay >= (failures > 0 ? 1 : TO_ONE_AT_ONCE))
        return Math.ceil((failures > 0 ? BUSY_FAILING_MS : BUSY_MS) * (1 + chance()));
      underWay += 1;
      return 0;
    },
    left(sent, askedMs = 0) {
      underWay -= 1;
      failures = sent ? 0 : failures + 1;
      const over = failures - FAILURES_TO_REST;
      const restMs = over >= 0 ? Math.min(REST_MAX_MS, FIRST_WAIT_MS * 2 ** Math.min(over, 10)) : 0;
      restUntilMs = sent ? 0 : clock() + Math.max(restMs, askedMs);
    },
  };
}
