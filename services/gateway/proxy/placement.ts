// Where one request is served: the pool, or the one backend, that is asked for it, what that is asked, and where the
// request goes when nobody there can take it.
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Grant } from "../access/access.ts";
import type { OutgoingRequest } from "../messages/outgoing.ts";
import { ANY_BACKEND, type Pick } from "../scheduling/scheduling.ts";
import type { Arrival } from "./arrival.ts";
import { composeRequest } from "./compose.ts";
import type { Destination } from "./destinations.ts";
import { type Failure, NO_BACKEND, NOT_REWRITTEN } from "./failure.ts";
import { type Attempted, elsewhere, mayRetry } from "./retry.ts";
import type { ProxiedRules } from "./route-rules.ts";
import type { Surroundings } from "./surroundings.ts";

/** Or why it cannot be served. */
export function placeRequest(
  around: Surroundings,
  route: ProxiedRules,
  arrival: Arrival,
  grant: Grant | null,
): Placement | Failure {
  const destination = route.destination(arrival);
  if (destination === null) return NO_BACKEND;
  const request = composeRequest(arrival, route, destination, grant);
  return request === null
    ? NOT_REWRITTEN
    : new Placement(around, { route, arrival, grant }, destination, request);
}

/** Whose request it is. */
interface Origin {
  route: ProxiedRules;
  arrival: Arrival;
  grant: Grant | null;
}

export class Placement {
  /** As it is for those who serve it now. */
  request: OutgoingRequest;
  /** Who had the last pick. */
  served: Destination;
  destination: Destination;
  /** What is asked of the scheduler; null: nothing yet, or one backend is bound to serve it. */
  want: Want | null = null;
  readonly #around: Surroundings;
  readonly #origin: Origin;
  /** Its retries are paid for by the pool it came to, wherever they go. */
  readonly #home: Destination["pool"];

  constructor(around: Surroundings, origin: Origin, destination: Destination, request: OutgoingRequest) {
    this.#around = around;
    this.#origin = origin;
    this.request = request;
    this.destination = destination;
    this.served = destination;
    this.#home = destination.pool;
    this.#home.budget.earn();
  }

  acquire(done: (pick: Pick | null) => void): void {
    const { pool, held } = this.destination;
    const { scheduling } = this.#around;
    if (held !== null) {
      done(scheduling.hold(pool.name, held));
      return;
    }
    this.want ??= this.#firstWant();
    scheduling.acquire(pool.name, this.want, done);
  }

  #firstWant(): Want {
    const { pool, prefer } = this.destination;
    const want = pool.ask?.(this.#origin.arrival) ?? ANY_BACKEND;
    return prefer === null ? want : { ...want, ...prefer };
  }

  /** Nobody there may take it, or it need not be asked again. @returns false where there is nowhere else to go */
  moveOn(): boolean {
    const next = this.destination.next?.() ?? null;
    if (next === null) return false;
    this.destination = next;
    this.want = null;
    const { route, arrival, grant } = this.#origin;
    const { body } = this.request;
    this.request = { ...this.request, ...composeRequest(arrival, route, next, grant), body };
    return true;
  }

  /** Not to be tried again; that one backend has had its turn means that others may. */
  avoid({ pool, backend }: Pick): void {
    if (this.destination.held !== null) this.moveOn();
    const { held, pool: next } = this.destination;
    if (held === null && next.name === pool) this.want = elsewhere(this.want ?? this.#firstWant(), backend);
  }

  /** Out of the pool's budget, unless it costs no backend anything. */
  mayRetry(failure: Failure, attempted: Attempted): boolean {
    const { held, next } = this.destination;
    const bound = held !== null && next === null;
    if (!mayRetry(this.#origin.route, bound, failure, attempted)) return false;
    const { report } = this.#around;
    const { name, budget } = this.#home;
    if (failure.free || budget.spend()) {
      report.retried(name);
      return true;
    }
    report.budgetExhausted(name);
    return false;
  }
}
