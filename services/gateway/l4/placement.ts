// Where one connection or session is served, and where it goes when nobody there can take it. Of a request:
// ../proxy/placement.ts.
import { MAX_EXCLUDES, type Want } from "@evenkeel/core/ledger/ledger.ts";
import { elsewhere } from "../proxy/retry.ts";
import { ANY_BACKEND, type Pick, type Scheduling } from "../scheduling/scheduling.ts";
import type { StreamDestination } from "./surroundings.ts";

export class StreamPlacement {
  destination: StreamDestination;
  readonly #scheduling: Scheduling;
  #want: Want;

  constructor(scheduling: Scheduling, destination: StreamDestination) {
    this.#scheduling = scheduling;
    this.destination = destination;
    this.#want = destination.want ?? ANY_BACKEND;
  }

  /** Counts one in flight on a backend: the bound one, or whom the scheduler picks. */
  acquire(done: (pick: Pick | null) => void): void {
    const { pool, held } = this.destination;
    if (held !== null) done(this.#scheduling.hold(pool.name, held));
    else this.#scheduling.acquire(pool.name, this.#want, done);
  }

  /** @returns false where nobody else can take it */
  moveOn(): boolean {
    const next = this.destination.next?.() ?? null;
    if (next === null) return false;
    this.destination = next;
    this.startOver();
    return true;
  }

  /** Not to be tried again; once the bound backend has had its turn, others may. @returns false where nobody is left */
  avoid(backend: string): boolean {
    const { pool, held } = this.destination;
    if (held !== null && !this.moveOn()) return false;
    if (this.destination.pool.name !== pool.name) return true;
    if ((this.#want.exclude?.length ?? 0) >= MAX_EXCLUDES) return false;
    this.#want = elsewhere(this.#want, backend);
    return true;
  }

  /** Those tried before may be back. */
  startOver(): void {
    this.#want = this.destination.want ?? ANY_BACKEND;
  }
}
