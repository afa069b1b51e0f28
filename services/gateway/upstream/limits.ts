// Bounds of what one origin may take of this gateway.

/** Most 1xx answers to one request: more mean nothing, and would keep it waiting. */
export const MAX_INTERIMS = 16;
/**
 * A connection that was idle and fails this soon after a request was written to it, without one byte of an answer, is
 * taken for one that the backend had closed before; later, for one on which it was at work. In ms.
 */
export const STALE_WITHIN_MS = 1_000;
