// An answer that is not passed on, since its status asks for another attempt: kept until there is somebody else to ask,
// then thrown away; or passed on after all, as it is, where nobody may take the request.
import type { Fields } from "../messages/fields.ts";
import type { ResponseHead } from "../messages/message.ts";
import type { Fault } from "../messages/outgoing.ts";
import type { Attempt, AttemptEvents } from "./attempt.ts";

/** Of a body that is thrown away, to have its connection back; past either the connection is closed. */
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

/** How it ended while it was withheld. */
type End = { trailers: Fields | null } | { fault: Fault; detail: string };

export class Withheld implements AttemptEvents {
  readonly #attempt: Attempt;
  readonly #head: ResponseHead;
  /** What was read already when the backend was told to wait: one read of the system at most. Null: thrown away. */
  #chunks: Buffer[] | null = [];
  #bytes = 0;
  #end: End | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** From within its `onHead`. */
  constructor(attempt: Attempt, head: ResponseHead) {
    this.#attempt = attempt;
    this.#head = head;
    attempt.divert(this);
    attempt.pause();
  }

  /** To those who were to have it, as if it came now; its header section to `onHead`. */
  passOn(events: AttemptEvents, onHead: AttemptEvents["onHead"]): void {
    const attempt = this.#attempt;
    attempt.divert(events);
    onHead(attempt, this.#head);
    for (const chunk of this.#chunks ?? []) events.onData(attempt, chunk);
    const end = this.#end;
    if (end === null) {
      events.onFlush(attempt);
      attempt.resume();
    } else if ("fault" in end) events.onFailed(attempt, end.fault, end.detail);
    else events.onAnswered(attempt, end.trailers);
  }

  /** The pick is given back at once; what still comes is nobody's. */
  discard(): void {
    const attempt = this.#attempt;
    const { outcome } = attempt;
    this.#chunks = null;
    attempt.release(outcome);
    if (this.#end !== null) return;
    const { bodyLength } = this.#head;
    if (bodyLength > DISCARD_BYTES && bodyLength !== Number.POSITIVE_INFINITY) {
      attempt.cancel(outcome);
      return;
    }
    this.#timer = setTimeout(() => attempt.cancel(outcome), DISCARD_MS);
    attempt.resume();
  }

  onData(attempt: Attempt, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#chunks !== null) this.#chunks.push(chunk);
    else if (this.#bytes > DISCARD_BYTES) {
      this.#stopTimer();
      attempt.cancel("canceled");
    }
  }

  onAnswered(_: Attempt, trailers: Fields | null): void {
    this.#end = { trailers };
    this.#stopTimer();
  }

  onFailed(_: Attempt, fault: Fault, detail: string): void {
    this.#end = { fault, detail };
    this.#stopTimer();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  onReady(): void {}
  onInterim(): void {}
  onHead(): void {}
  onFlush(): void {}
  onDrained(): void {}
}
