// How a pool stands with its schedulers: who decides, since when, and whether that deserves a line in the log. Every
// change is reported once.
import type { Observer } from "./observer.ts";
import type { PoolView } from "./scheduling.ts";

/** Late answers now and then are counted; this long without one in time is worth a log line. */
const LATE_FOR_LONG_MS = 1_000;

export class Standing {
  readonly #observer: Observer;
  readonly #clock: () => number;
  #deciding: PoolView["deciding"] = "scheduler";
  #sinceMs: number;
  #trouble = false;
  #panic = false;

  constructor(observer: Observer, clock: () => number) {
    this.#observer = observer;
    this.#clock = clock;
    this.#sinceMs = clock();
  }

  get deciding(): PoolView["deciding"] {
    return this.#deciding;
  }

  answered(): void {
    this.#note(null);
    this.#decideBy("scheduler");
  }

  /** The answer may still come. */
  late(): void {
    if (this.#deciding === "scheduler") this.#observer.overdue();
    this.#decideBy("fallback");
  }

  failed(reason: string): void {
    this.#note(reason);
    this.#decideBy("fallback");
  }

  beat(): void {
    if (this.#deciding === "scheduler" || this.#clock() - this.#sinceMs < LATE_FOR_LONG_MS) return;
    this.#note("answers come too late");
  }

  panic(on: boolean): void {
    if (this.#panic === on) return;
    this.#panic = on;
    this.#observer.panic(on);
  }

  #decideBy(by: PoolView["deciding"]): void {
    if (this.#deciding === by) return;
    this.#deciding = by;
    this.#sinceMs = this.#clock();
    this.#observer.deciding(by);
  }

  #note(reason: string | null): void {
    if (this.#trouble === (reason !== null)) return;
    this.#trouble = reason !== null;
    this.#observer.trouble(reason);
  }
}
