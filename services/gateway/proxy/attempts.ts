// The attempts of one request: one after another, and, where the pool hedges, for a while two beside each other, of
// which the first to answer is the one that counts.
import type { OutgoingRequest } from "../messages/outgoing.ts";
import { ANY_BACKEND, type Outcome, type Pick } from "../scheduling/scheduling.ts";
import { Attempt, type AttemptEvents } from "./attempt.ts";
import { type Failure, HELD_BACK, SATURATED } from "./failure.ts";
import type { Hedge } from "./hedging.ts";
import type { Placement } from "./placement.ts";
import { elsewhere } from "./retry.ts";
import type { Surroundings } from "./surroundings.ts";

const UNSENT: Readonly<Record<"saturated" | "held-back", Failure>> = {
  saturated: SATURATED,
  "held-back": HELD_BACK,
};

export class Attempts {
  /** The last one begun, or the one that has answered. */
  current: Attempt | null = null;
  /** How many have begun. */
  count = 0;
  readonly #around: Surroundings;
  readonly #events: AttemptEvents;
  readonly #placement: Placement;
  /** Beside the current one, since that takes long. */
  #second: Attempt | null = null;
  #due: NodeJS.Timeout | null = null;
  #answered = false;
  /** The first one has failed before a second one was begun: what follows are retries. */
  #failed = false;
  #over = false;

  constructor(around: Surroundings, events: AttemptEvents, placement: Placement) {
    this.#around = around;
    this.#events = events;
    this.#placement = placement;
  }

  /** @returns why nothing was sent; null: it is on its way */
  begin(pick: Pick): Failure | null {
    const attempt = this.#open(pick);
    this.current = attempt;
    const unsent = attempt.send(this.#placement.request);
    return unsent === null ? null : UNSENT[unsent];
  }

  #open(pick: Pick): Attempt {
    this.count += 1;
    const { breakers, outcomeOf } = this.#placement.destination.pool;
    this.#placement.served = this.#placement.destination;
    return new Attempt(this.#around, this.#events, pick, breakers?.of(pick.backend) ?? null, outcomeOf);
  }

  /** If the first takes longer than most, another backend is asked beside it, while the budget has room. */
  hedge(hedge: Hedge): void {
    const delayMs = hedge.delayMs();
    if (delayMs !== null) this.#due = setTimeout(() => this.#onDue(hedge), delayMs);
  }

  get #waiting(): boolean {
    return !this.#over && !this.#answered && !this.#failed && this.count === 1;
  }

  #onDue(hedge: Hedge): void {
    if (!this.#waiting || this.current === null || !hedge.spend()) return;
    const { backend, pool } = this.current.pick;
    const { want, request } = this.#placement;
    this.#around.scheduling.acquire(pool, elsewhere(want ?? ANY_BACKEND, backend), (pick) => {
      if (pick === null) return;
      if (this.#waiting) this.#beginSecond(pick, request);
      else this.#around.scheduling.release(pick, "canceled", null);
    });
  }

  #beginSecond(pick: Pick, request: OutgoingRequest): void {
    const second = this.#open(pick);
    this.#around.report.hedged(pick.pool);
    this.#second = second;
    if (second.send(request) !== null) this.drop(second, "canceled");
  }

  /** It is the one that counts: the other one is given up. */
  answeredBy(attempt: Attempt): void {
    this.#answered = true;
    this.#placement.served.pool.hedge?.observe(attempt.ttfbMs as number);
    const slower = attempt === this.current ? this.#second : this.current;
    if (slower !== null) this.drop(slower, "canceled");
  }

  /** Gives one of two up. @returns false where there is no other one */
  drop(attempt: Attempt, outcome: Outcome): boolean {
    if (this.#second === null) {
      this.#failed = true;
      return false;
    }
    if (attempt === this.current) this.current = this.#second;
    this.#second = null;
    attempt.cancel(outcome);
    return true;
  }

  /** Nobody waits for any of them. */
  cancel(outcome: Outcome): void {
    this.current?.cancel(outcome);
    this.#second?.cancel("canceled");
    this.#second = null;
  }

  /** Nothing more is begun. */
  end(): void {
    this.#over = true;
    if (this.#due !== null) clearTimeout(this.#due);
  }
}
