// How long to wait before a process that died unasked is started again.

export const RESTART_MIN_MS = 250;
export const RESTART_MAX_MS = 10_000;
/** A process that lived this long did not die of its start: it begins with the shortest wait again. */
export const STABLE_AFTER_MS = 30_000;

/** Deaths in a row, this one included. */
export const deathsInRow = (before: number, livedMs: number): number =>
  livedMs >= STABLE_AFTER_MS ? 1 : before + 1;

/** Doubles with every death in a row. */
export const restartDelayMs = (deaths: number): number =>
  Math.min(RESTART_MIN_MS * 2 ** Math.min(deaths - 1, 16), RESTART_MAX_MS);
