// The waits of all connections to backends, by one coarse timer: whoever waits says for what, and is looked at a few
// times a second. A request costs no timer and no look at the clock.

/** Between two looks, in ms. A wait ends at most two of these later than it should, and never earlier. */
export const SWEEP_MS = 50;

export interface Waiting {
  /** @param nowMs on the clock of the sweep */
  onSweep(nowMs: number): void;
}

export class Sweep {
  readonly clock: () => number;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | null = null;

  /** @param clock ms, monotonic */
  constructor(clock: () => number) {
    this.clock = clock;
  }

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    // Sockets keep the process alive while they are open, not this.
    // After a standstill of this process, what has arrived meanwhile is read before anybody is held to be late.
    this.#timer ??= setInterval(() => setImmediate(() => this.#look()), SWEEP_MS).unref();
  }

  delete(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    if (this.#waiting.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    const nowMs = this.clock();
    for (const waiting of this.#waiting) waiting.onSweep(nowMs);
  }
}

/** Not looked at since it began. */
const BEGUN = -1;

/** One wait: counted from the first look after it began, so beginning one costs a single store. */
export class Wait {
  #sinceMs = BEGUN;

  begin(): void {
    this.#sinceMs = BEGUN;
  }

  /** How long it has been, as far as it was looked at. */
  age(nowMs: number): number {
    if (this.#sinceMs === BEGUN) this.#sinceMs = nowMs;
    return nowMs - this.#sinceMs;
  }
}
