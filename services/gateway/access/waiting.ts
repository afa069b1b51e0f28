// Calls that wait for an answer, each for the same time: one timer for all of them, since the first to start is the
// first to have waited too long.

export interface Waiter<T> {
  /** ms, of the clock */
  readonly startedAt: number;
  /** Null once it was called. */
  done: ((value: T) => void) | null;
}

export interface Waiting<T> {
  readonly size: number;
  add(done: (value: T) => void): Waiter<T>;
  /** Does nothing when it was told already. */
  settle(waiter: Waiter<T>, value: T): void;
}

/** @param expired what a call is told that has waited too long */
export function createWaiting<T>(clock: () => number, timeoutMs: number, expired: () => T): Waiting<T> {
  /** In the order of their start. */
  const waiters = new Set<Waiter<T>>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  const settle = (waiter: Waiter<T>, value: T) => {
    waiters.delete(waiter);
    const { done } = waiter;
    waiter.done = null;
    done?.(value);
  };
  const sweep = () => {
    timer = null;
    const now = clock();
    for (const waiter of waiters) {
      if (waiter.startedAt + timeoutMs > now) break;
      settle(waiter, expired());
    }
    arm();
  };
  const arm = () => {
    const [first] = waiters;
    if (timer !== null || first === undefined) return;
    // After a stall of this process the answers are there, but not read yet: one turn of the event loop reads them.
    timer = setTimeout(() => setImmediate(sweep), Math.max(1, first.startedAt + timeoutMs - clock()));
  };

  return {
    get size() {
      return waiters.size;
    },
    add(done) {
      const waiter: Waiter<T> = { startedAt: clock(), done };
      waiters.add(waiter);
      arm();
      return waiter;
    },
    settle,
  };
}
