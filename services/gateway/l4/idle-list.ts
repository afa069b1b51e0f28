// Who was silent the longest, of many: a list in the order of last activity, and one timer for all of them. An
// activity costs a look at the clock and a few stores, however many there are.

export interface Idle {
  older: Idle | null;
  newer: Idle | null;
  /** On the clock of the list. */
  activeMs: number;
  /** Was silent for as long as allowed, and is no longer on the list. */
  onIdle(): void;
}

export class IdleList<E extends Idle> {
  readonly #clock: () => number;
  #idleMs: number;
  #oldest: Idle | null = null;
  #newest: Idle | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** @param clock ms, monotonic */
  constructor(clock: () => number, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** Silence that is allowed from now on, also for those who are silent already. */
  set idleMs(value: number) {
    if (value === this.#idleMs) return;
    this.#idleMs = value;
    this.#disarm();
    this.#arm();
  }

  get oldest(): E | null {
    return this.#oldest as E | null;
  }

  add(entry: E): void {
    entry.activeMs = this.#clock();
    this.#append(entry);
    if (this.#timer === null) this.#arm();
  }

  /** For one that is on the list. */
  touch(entry: E): void {
    entry.activeMs = this.#clock();
    if (this.#newest === entry) return;
    this.#unlink(entry);
    this.#append(entry);
  }

  /** Does nothing for one that is not on the list. */
  delete(entry: E): void {
    if (entry.older === null && this.#oldest !== entry) return;
    this.#unlink(entry);
    if (this.#oldest === null) this.#disarm();
  }

  #append(entry: Idle): void {
    entry.older = this.#newest;
    entry.newer = null;
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Idle): void {
    const { older, newer } = entry;
    if (older === null) this.#oldest = newer;
    else older.newer = newer;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    entry.older = null;
    entry.newer = null;
  }

  #arm(): void {
    if (this.#oldest === null) return;
    const delayMs = Math.max(1, Math.ceil(this.#oldest.activeMs + this.#idleMs - this.#clock()));
    // Sockets keep the process alive while they are open, not this.
    this.#timer = setTimeout(() => this.#expire(), delayMs).unref();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #expire(): void {
    this.#timer = null;
    const untilMs = this.#clock() - this.#idleMs;
    for (let entry = this.#oldest; entry !== null && entry.activeMs <= untilMs; entry = this.#oldest) {
      this.#unlink(entry);
      entry.onIdle();
    }
    if (this.#timer === null) this.#arm();
  }
}
