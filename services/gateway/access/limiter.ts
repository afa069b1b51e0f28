// Asks Redis whether a request is within its limit, and never lets a request wait for Redis: past a few ms, and while
// Redis is known to be away, requests pass uncounted. What was refused is remembered here until it may pass again, so
// that a flood of refused requests costs Redis nothing.
import type { Limit } from "@evenkeel/core/limits/gcra.ts";
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
/** Calls under way; more requests pass uncounted. */
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

export function createLimiter({ redis, clock, outage, onUnavailable }: LimiterOptions): Limiter {
  const empty = createBoundedCache<Empty>(EMPTY_MAX, clock);
  let failures = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  const failed = (reason: string) => {
    failures += 1;
    if (failures < FAILURES_MAX) return;
    pausedUntil = clock() + PAUSE_MS;
    outage.failed(reason);
  };
  const passUncounted = (): null => {
    onUnavailable();
    return null;
  };
  const waiting = createWaiting<LimitVerdict>(clock, LIMIT_TIMEOUT_MS, () => {
    failed(`no answer within ${LIMIT_TIMEOUT_MS} ms`);
    return passUncounted();
  });
  const answered = (
    call: Waiter<LimitVerdict>,
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
        return passUncounted();
      }
      if (now < pausedUntil || waiting.size >= CALLS_MAX) return passUncounted();
      if (failures >= FAILURES_MAX) pausedUntil = now + PAUSE_MS; // this call tries whether it is back
      const call = waiting.add(done);
      redis.call(key, limit.intervalUs, limit.burst).then(
        (answer) => answered(call, key, limit, answer),
        (error: Error) => {
          if (call.done === null) return;
          failed(error.message);
          waiting.settle(call, passUncounted());
        },
      );
      return undefined;
    },
  };
}
