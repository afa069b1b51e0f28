// One attempt to have a request answered by a backend: it holds the pick, which it gives back exactly once, and passes
// on what comes from the backend, with its own name, since a request may have two of them under way (hedging).
import type { Fields } from "../messages/fields.ts";
import type { ResponseHead } from "../messages/message.ts";
import type { BackendEvents, Fault, Outgoing, OutgoingRequest } from "../messages/outgoing.ts";
import type { Outcome, Pick } from "../scheduling/scheduling.ts";
import { attemptedBy, type Breaker, REFUSED } from "./breaker.ts";
import type { Judge } from "./failure.ts";
import type { Surroundings } from "./surroundings.ts";

/** What an answer says of its backend to the breaker. */
const ENDED_BY = { success: "connected", failure: "failed", canceled: "unknown" } as const;

/** Whoever makes attempts. Nothing is called of an attempt after `onAnswered`, `onFailed`, or its `cancel`. */
export interface AttemptEvents {
  onReady(attempt: Attempt): void;
  onInterim(attempt: Attempt, status: number, fields: Fields): void;
  onHead(attempt: Attempt, head: ResponseHead): void;
  onData(attempt: Attempt, chunk: Buffer): void;
  onFlush(attempt: Attempt): void;
  onAnswered(attempt: Attempt, trailers: Fields | null): void;
  onDrained(attempt: Attempt): void;
  onFailed(attempt: Attempt, fault: Fault, detail: string): void;
}

export class Attempt implements BackendEvents {
  readonly pick: Pick;
  /** From the attempt's begin to the answer's header section; null: there is none yet. */
  ttfbMs: number | null = null;
  /** The backend's, once its header section has come. */
  status = 0;
  readonly #around: Surroundings;
  #events: AttemptEvents;
  readonly #startedMs: number;
  #outgoing: Outgoing | null = null;
  /** Null: every pick is tried. */
  readonly #breaker: Breaker | null;
  #ticket = REFUSED;
  #released = false;
  /** What a status says of the backend. */
  readonly #judge: Judge;

  constructor(
    around: Surroundings,
    events: AttemptEvents,
    pick: Pick,
    breaker: Breaker | null,
    judge: Judge,
  ) {
    this.#breaker = breaker;
    this.#judge = judge;
    this.pick = pick;
    this.#around = around;
    this.#events = events;
    this.#startedMs = around.clock();
  }

  /** Null, or why nothing was sent: neither is the backend's fault. */
  send(request: OutgoingRequest): "held-back" | "saturated" | null {
    if (this.#breaker !== null) {
      this.#ticket = this.#breaker.admit();
      if (this.#ticket === REFUSED) return "held-back";
    }
    const { pool, url } = this.pick;
    this.#outgoing = this.#around.origins.get(pool, url).send(request, this);
    return this.#outgoing === null ? "saturated" : null;
  }

  /** Bytes of the request may have reached the backend. */
  get sent(): boolean {
    return this.#outgoing?.sent ?? false;
  }

  write(chunk: Buffer): boolean {
    return this.#outgoing?.write(chunk) ?? true;
  }

  end(trailers: Fields | null): void {
    this.#outgoing?.end(trailers);
  }

  pause(): void {
    this.#outgoing?.pause();
  }

  resume(): void {
    this.#outgoing?.resume();
  }

  /** What still comes of it is for somebody else. */
  divert(events: AttemptEvents): void {
    this.#events = events;
  }

  /** Of the backend, once it has answered. */
  get outcome(): Outcome {
    return this.#judge(this.status);
  }

  /** Nobody waits for it any more. */
  cancel(outcome: Outcome): void {
    this.#outgoing?.abort();
    this.release(outcome);
  }

  /** The first call counts. */
  release(outcome: Outcome): void {
    if (this.#released) return;
    this.#released = true;
    this.#breaker?.ended(this.#ticket, this.status === 0 ? "unknown" : ENDED_BY[outcome]);
    this.#ticket = REFUSED; // what is thrown away can still break off
    this.#around.scheduling.release(this.pick, outcome, this.ttfbMs);
  }

  onBackendReady(): void {
    this.#events.onReady(this);
  }

  onBackendInterim(status: number, fields: Fields): void {
    this.#events.onInterim(this, status, fields);
  }

  onBackendHead(head: ResponseHead): void {
    this.status = head.status;
    this.ttfbMs = this.#around.clock() - this.#startedMs;
    this.#noteHead(head);
    this.#events.onHead(this, head);
  }

  /** What may last for hours must not keep a breaker half open; nor is the end of a tunnel an answer. */
  #noteHead({ status, tunnel }: ResponseHead): void {
    if (this.#breaker === null || !(tunnel || this.#breaker.state === "half-open")) return;
    this.#breaker.ended(this.#ticket, ENDED_BY[this.#judge(status)]);
    this.#ticket = REFUSED;
  }

  onBackendData(chunk: Buffer): void {
    this.#events.onData(this, chunk);
  }

  onBackendFlush(): void {
    this.#events.onFlush(this);
  }

  onBackendEnd(trailers: Fields | null): void {
    this.#events.onAnswered(this, trailers);
  }

  onBackendDrain(): void {
    this.#events.onDrained(this);
  }

  onBackendError(fault: Fault, detail: string): void {
    this.#breaker?.ended(this.#ticket, attemptedBy(fault));
    this.#ticket = REFUSED;
    this.#events.onFailed(this, fault, detail);
  }
}
