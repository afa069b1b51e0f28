// Asking again after nobody has answered: later each time, until somebody does.

const MIN_MS = 50;
const MAX_MS = 500;

export class RetryLater {
  readonly #work: () => void;
  #timer: NodeJS.Timeout | null = null;
  #delayMs = MIN_MS;

  constructor(work: () => void) {
    this.#work = work;
  }

  get waiting(): boolean {
    return this.#timer !== null;
  }

  start(): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#work();
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_MS);
  }

  answered(): void {
    this.#delayMs = MIN_MS;
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }
}
