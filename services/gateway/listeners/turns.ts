// Processes that accept on one socket take turns when many connections come at once: whoever is awake first would take
// them all, before the others are, and keep them for as long as they last. So after each of a burst it sleeps for a
// moment, in which the others, woken by the same connections, take the next ones. What it may sleep is a small part of
// its time, so that a steady stream of short connections, which spreads by itself over whoever has time, costs nothing
// to speak of.

/** About what it takes another process to wake up and accept. */
const PAUSE_MS = 0.1;
/** Connections nearer to each other than this are a burst. */
const BURST_GAP_MS = 1;
/** Of the time, slept at most in the long run. */
const SHARE = 0.02;
/** Saved up at most: enough for a burst of some hundred connections. */
const SAVED_MAX_MS = 20;

/** To be called after each connection. @param clock ms, monotonic @param sleep blocks the process for so many ms */
export function createTurns(clock: () => number, sleep: (ms: number) => void): () => void {
  let lastMs = clock();
  let savedMs = SAVED_MAX_MS;
  return () => {
    const nowMs = clock();
    const gapMs = nowMs - lastMs;
    lastMs = nowMs;
    savedMs = Math.min(SAVED_MAX_MS, savedMs + gapMs * SHARE);
    if (gapMs > BURST_GAP_MS || savedMs <= 0) return;
    sleep(PAUSE_MS);
    lastMs = clock();
    savedMs -= lastMs - nowMs;
  };
}

const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));

export const sleepBlocking = (ms: number): void => void Atomics.wait(NEVER_WOKEN, 0, 0, ms);
