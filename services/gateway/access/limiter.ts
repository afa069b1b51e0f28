// Asks Redis whether a request is within its limit, and never lets a request wait for Redis: past a few ms, and while
// Redis is known to be away, requests pass uncounted by others, within the same limit for this process alone. So whoever
// makes answers late by a flood gains no more than that. What was refused is remembered here until it may pass again, so
// that a flood of refused requests costs Redis nothing.
import { type Limit, take as takeFrom } from "@evenkeel/core/limits/gcra.ts";
import { createBoundedCache } from "./bounded-cache.ts";
import type { LimitAnswer, LimitFunction } from "./limit-function.ts";
import type { Outage } from "./outage.ts";
import { createWaiting, type Waiter } from "./waiting.ts";

/** What a request waits for Redis at most; a healthy one answers within 1 or 2. */
export const LIMIT_TIMEOUT_MS = 25;
/** So many calls in a row have to fail before none are made for a while; one of the next decides. */
export const FAILURES_MAX = 5;
export const PAUSE_MS = 1_000;
/** Buckets known to be empty. */
const EMPTY_MAX = 10_000;
/** Buckets that are counted here, because Redis did not say. */
const OWN_MAX = 10_000;
/** Calls under way; more requests pass as if Redis were away. */
const CALLS_MAX = 10_000;

/** Null: not known, the request passes. */
export type LimitVerdict = { allowed: boolean; remaining: number; waitUs: number } | null;

export interface Limiter {
  /** Answers at once where it can; undefined: `done` is called later, once. */
  take(key: string, limit: Limit, done: (verdict: LimitVerdict) => void): LimitVerdict | undefined;
}

export interface LimiterOptions {
  redis: LimitFunction;
  /** ms, monotonic */
  clock: () => number;
  outage: Outage;
  onUnavailable(): void;
}

/** Of a limit that is no longer this one nothing is known. */
interface Empty {
  limit: Limit;
  until: number;
}

/** Since Redis did not say. */
interface Own {
  limit: Limit;
  /** Of the algorithm, on the clock. */
  arrivalUs: number;
}

/** What a call ends with that Redis did not answer in time, or at all. */
const UNKNOWN = Symbol("unknown");

export function createLimiter({ redis, clock, outage, onUnavailable }: LimiterOptions): Limiter {
  const empty = createBoundedCache<Empty>(EMPTY_MAX, clock);
  const own = createBoundedCache<Own>(OWN_MAX, clock);
  let failures = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  const failed = (reason: string) => {
    failures += 1;
    if (failures < FAILURES_MAX) return;
    pausedUntil = clock() + PAUSE_MS;
    outage.failed(reason);
  };
  /** Refuses only what is over the limit by itself, so nothing that the shared count would let pass. */
  const countHere = (key: string, limit: Limit): LimitVerdict => {
    const before = own.get(key);
    const taken = takeFrom(before?.limit === limit ? before.arrivalUs : null, clock() * 1_000, limit);
    own.set(key, { limit, arrivalUs: taken.arrivalUs }, taken.arrivalUs / 1_000);
    if (!taken.allowed) return { allowed: false, remaining: 0, waitUs: taken.waitUs };
    onUnavailable();
    return null;
  };
  const waiting = createWaiting<LimitVerdict | typeof UNKNOWN>(clock, LIMIT_TIMEOUT_MS, () => {
    failed(`no answer within ${LIMIT_TIMEOUT_MS} ms`);
    return UNKNOWN;
  });
  const answered = (
    call: Waiter<LimitVerdict | typeof UNKNOWN>,
    key: string,
    limit: Limit,
    [remaining, waitUs]: LimitAnswer,
  ) => {
    const allowed = remaining >= 0;
    const waitMs = waitUs / 1_000;
    const until = clock() + waitMs;
    if (!allowed && waitMs > 1) empty.set(key, { limit, until }, until);
    if (call.done === null) return; // too late: a slow Redis is not a healthy one
    failures = 0;
    pausedUntil = Number.NEGATIVE_INFINITY;
    outage.well();
    waiting.settle(call, { allowed, remaining: Math.max(0, remaining), waitUs });
  };

  return {
    take(key, limit, done) {
      const known = empty.get(key);
      const now = clock();
      if (known?.limit === limit)
        return { allowed: false, remaining: 0, waitUs: Math.ceil((known.until - now) * 1_000) };
      if (!redis.ready()) {
        outage.failed("not connected");
        return countHere(key, limit);
      }
      if (now < pausedUntil || waiting.size >= CALLS_MAX) return countHere(key, limit);
      if (failures >= FAILURES_MAX) pausedUntil = now + PAUSE_MS; // this call tries whether it is back
      const call = waiting.add((verdict) => done(verdict === UNKNOWN ? countHere(key, limit) : verdict));
      redis.call(key, limit.intervalUs, limit.burst).then(
        (answer) => answered(call, key, limit, answer),
        (error: Error) => {
          if (call.done === null) return;
          failed(error.message);
          waiting.settle(call, UNKNOWN);
        },
      );
      return undefined;
    },
  };
}
