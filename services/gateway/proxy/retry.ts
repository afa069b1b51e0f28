// Whether a failed attempt may be repeated on another backend. Never because of a status: that was an answer.

/** Attempts after the first. */
export const MAX_RETRIES = 3;

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/**
 * For an attempt of whose answer nothing was passed on.
 * @param sent bytes of the request may have reached the backend, and with them its effect
 * @param replayable the whole body, if any, is at hand
 */
export const mayRepeat = (sent: boolean, method: string, replayable: boolean): boolean =>
  !sent || (replayable && IDEMPOTENT.has(method));
