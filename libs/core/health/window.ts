// The share of a backend's requests that fail, over all gateways. Its first failure opens a window; while it is open its
// outcomes are counted, so that nothing needs to be counted as long as nobody fails.

export interface FailureWindow {
  /** ms since the epoch. */
  openedMs: number;
  requests: number;
  failures: number;
}

export interface WindowParameters {
  /** Of the requests in the window, to leave; 0: no such rule. */
  failurePercent: number;
  windowMs: number;
  /** With fewer the share says nothing. */
  minRequests: number;
}

/** One that ran out is dropped; the next failure opens another. Canceled requests are none. */
export function countedIn(
  before: FailureWindow | null,
  { success, failure }: { success: number; failure: number },
  p: WindowParameters,
  nowMs: number,
): FailureWindow | null {
  const open = stillOpen(before, p, nowMs);
  if (p.failurePercent === 0 || (open === null && failure === 0)) return null;
  if (success + failure === 0) return open;
  const { openedMs, requests, failures } = open ?? { openedMs: nowMs, requests: 0, failures: 0 };
  return { openedMs, requests: requests + success + failure, failures: failures + failure };
}

export const stillOpen = (
  window: FailureWindow | null,
  { windowMs }: WindowParameters,
  nowMs: number,
): FailureWindow | null => (window && nowMs < window.openedMs + windowMs ? window : null);

export const isTooMuch = ({ requests, failures }: FailureWindow, p: WindowParameters): boolean =>
  requests >= p.minRequests && failures * 100 >= p.failurePercent * requests;

export const share = ({ requests, failures }: FailureWindow): string =>
  `${Math.floor((failures * 100) / requests)} % of ${requests} requests failed`;
