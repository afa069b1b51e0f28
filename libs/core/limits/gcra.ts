// The rate limit in plain words: GCRA, the generic cell rate algorithm. One number per key, the theoretical arrival
// time: when the bucket would be full again, if nothing more came. Never more than burst + rate × t requests pass in
// any time t. services/gateway/access/rate-limit.lua does the same, operation by operation, in Redis.

export interface Limit {
  /** Between two requests at the full rate, µs. */
  intervalUs: number;
  /** Most at once after a pause. */
  burst: number;
}

/** What the fractions of intervals may lack in their sum. It is never given twice: a later arrival time keeps it. */
export const TOLERANCE_US = 0.5;

export interface Taken {
  allowed: boolean;
  /** To be kept for the key, µs; unchanged by a refusal. */
  arrivalUs: number;
  /** How many more would pass now. */
  remaining: number;
  /** Until one more passes: 0 while some remain, µs. */
  waitUs: number;
}

export const limitOf = ({
  requests,
  perMs,
  burst,
}: {
  requests: number;
  perMs: number;
  burst: number;
}): Limit => ({
  intervalUs: (perMs * 1_000) / requests,
  burst,
});

/** @param kept null: the key was never seen, or has been idle long enough to be forgotten */
export function take(kept: number | null, nowUs: number, { intervalUs, burst }: Limit): Taken {
  const capacityUs = intervalUs * burst;
  // A later one can only come of a limit that was more generous: it must not lock anybody out for its time.
  const arrivalUs = Math.min(Math.max(kept ?? nowUs, nowUs), nowUs + capacityUs + TOLERANCE_US);
  const next = arrivalUs + intervalUs;
  const room = nowUs + capacityUs - next;
  if (room < -TOLERANCE_US) return { allowed: false, arrivalUs, remaining: 0, waitUs: Math.ceil(-room) };
  const remaining = Math.max(0, Math.floor((room + TOLERANCE_US) / intervalUs));
  const waitUs = remaining > 0 ? 0 : Math.max(0, Math.ceil(intervalUs - room));
  return { allowed: true, arrivalUs: next, remaining, waitUs };
}
