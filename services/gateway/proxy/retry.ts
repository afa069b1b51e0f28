// Whether a failed attempt may be repeated on another backend, and what is then asked for. Never because of a status:
// that was an answer.
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Failure } from "./failure.ts";
import type { Intake } from "./intake.ts";
import type { Report } from "./report.ts";

/** Attempts after the first. */
const MAX_RETRIES = 3;

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export interface Attempted {
  /** With this one. */
  attempts: number;
  /** Bytes of the request may have reached the backend. */
  sent: boolean;
  method: string;
}

/** Takes it out of the pool's budget. */
export function mayRetry(
  { route, pool, body }: Intake,
  failure: Failure,
  { attempts, sent, method }: Attempted,
  report: Report,
): boolean {
  if (route.proxy === "static" || !failure.elsewhere || attempts > MAX_RETRIES) return false;
  if (!mayRepeat(sent, method, body !== "stream")) return false;
  if (pool.budget.spend()) {
    report.retried(route.pool);
    return true;
  }
  report.budgetExhausted(route.pool);
  return false;
}

/**
 * For an attempt of whose answer nothing was passed on.
 * @param sent bytes of the request may have reached the backend, and with them its effect
 * @param replayable the whole body, if any, is at hand
 */
const mayRepeat = (sent: boolean, method: string, replayable: boolean): boolean =>
  !sent || (replayable && IDEMPOTENT.has(method));

/** @param tried excluded from now on; no longer the backend of the session either */
export function elsewhere(want: Want, tried: string): Want {
  const { exclude = [], stick, ...others } = want;
  const next: Want = { ...others, exclude: [...exclude, tried] };
  if (stick !== undefined && stick !== tried) next.stick = stick;
  return next;
}
