// How long to wait before a worker that died is started again: not long after the first death, since its share of the
// work falls to the others, but ever longer when it dies again and again.

const FIRST_DELAY_MS = 1_000;
const LAST_DELAY_MS = 10_000;
/** Who has lived this long begins anew. */
const STEADY_MS = 30_000;

/** @param previousMs waited before the life that has ended, 0 before the first @param livedMs how long that was */
export function restartDelayMs(previousMs: number, livedMs: number): number {
  if (previousMs === 0 || livedMs >= STEADY_MS) return FIRST_DELAY_MS;
  return Math.min(previousMs * 2, LAST_DELAY_MS);
}
