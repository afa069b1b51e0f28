// When to stop, and when to stop at once: the first signal drains, a second Ctrl-C means that nobody wants to wait.

/** One Ctrl-C arrives several times: from the terminal, and passed on by npm and by the launcher. */
export const SAME_PRESS_MS = 500;

export interface Interruption {
  /** Stop in order. */
  signal: AbortSignal;
  /** Stop at once. */
  force: AbortSignal;
  /** Asked to stop, however often. */
  stop(): void;
  /** Ctrl-C. */
  interrupt(): void;
}

/** @param clock milliseconds, monotonic */
export function createInterruption(clock: () => number): Interruption {
  const orderly = new AbortController();
  const forced = new AbortController();
  let stoppedAtMs = 0;
  const stop = () => {
    if (orderly.signal.aborted) return;
    stoppedAtMs = clock();
    orderly.abort();
  };
  return {
    signal: orderly.signal,
    force: forced.signal,
    stop,
    interrupt() {
      if (orderly.signal.aborted && clock() - stoppedAtMs >= SAME_PRESS_MS) forced.abort();
      stop();
    },
  };
}
