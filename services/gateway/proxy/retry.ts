// Whether a failed attempt may be repeated, and what is then asked for. Because of a status only where the route says so:
// otherwise that was an answer.
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import { isIdempotent } from "../messages/message.ts";
import type { OutgoingRequest } from "../messages/outgoing.ts";
import { type Failure, UNPROCESSED } from "./failure.ts";
import type { ProxiedRules } from "./route-rules.ts";

export interface Attempted {
  /** With this one. */
  attempts: number;
  /** Bytes of the request may have reached the backend. */
  sent: boolean;
  method: string;
  /** The whole body, if any, is still at hand. */
  replayable: boolean;
}

/**
 * For an attempt of whose answer nothing was passed on. Bound by the route's number of retries, not by a budget.
 * @param bound to one backend
 */
export function mayRetry(
  { route }: ProxiedRules,
  bound: boolean,
  failure: Failure,
  { attempts, sent, method, replayable }: Attempted,
): boolean {
  // One that costs nothing is made once whatever the route allows.
  const most = route.retries + (failure.free ? 1 : 0);
  if (failure.again === "nowhere" || attempts > most) return false;
  if (failure.again === "elsewhere" && bound) return false;
  return replayable && (!sent || failure === UNPROCESSED || isIdempotent(method));
}

/** Whether a second attempt may be made beside the first, where more than one backend may serve it. */
export const mayHedge = (request: OutgoingRequest): boolean =>
  isIdempotent(request.method) &&
  request.upgrade === null &&
  request.bodyLength === (request.body?.length ?? 0);

/** @param tried excluded from now on; no longer the backend of the session either */
export function elsewhere(want: Want, tried: string): Want {
  const { exclude = [], stick, ...others } = want;
  const next: Want = { ...others, exclude: [...exclude, tried] };
  if (stick !== undefined && stick !== tried) next.stick = stick;
  return next;
}
