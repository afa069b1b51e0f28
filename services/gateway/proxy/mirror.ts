// Copies of requests for a pool that only watches: sent once, answered to nobody, never waited for. A copy is made of
// what is at hand when the request itself goes out, so a body that is streamed is not mirrored.
import type { OutgoingRequest } from "../messages/outgoing.ts";
import type { Mirror } from "../routing/mirror.ts";
import { ANY_BACKEND, type Outcome, type Pick } from "../scheduling/scheduling.ts";
import { Attempt, type AttemptEvents } from "./attempt.ts";
import { failureOf, type Judge } from "./failure.ts";
import type { Surroundings } from "./surroundings.ts";

/** Longest that a copy may wait for its answer, or for more of it. */
const ANSWER_MS = 10_000;
/** Copies of one gateway under way at once; past it requests are not mirrored. */
const COPIES_MAX = 256;

/** Of a route. */
export interface JudgedMirror extends Mirror {
  /** As its pool judges answers. */
  outcomeOf: Judge;
}

let copies = 0;

export function shadow(around: Surroundings, mirror: JudgedMirror, request: OutgoingRequest): void {
  const whole = request.bodyLength === (request.body?.length ?? 0);
  if (!whole || request.bodyLength > mirror.maxBodyBytes || request.upgrade !== null) return;
  if (copies >= COPIES_MAX || !mirror.draw()) return;
  copies += 1;
  around.scheduling.acquire(mirror.pool, ANY_BACKEND, (pick) => {
    if (pick === null) copies -= 1;
    else send(around, mirror, pick, request);
  });
}

function send(around: Surroundings, { outcomeOf }: JudgedMirror, pick: Pick, request: OutgoingRequest): void {
  const attempt = new Attempt(around, NOBODY, pick, null, outcomeOf);
  const copy = { ...request, responseHeadersMs: ANSWER_MS, idleMs: ANSWER_MS };
  if (attempt.send(copy) !== null) finish(attempt, "canceled");
}

function finish(attempt: Attempt, outcome: Outcome): void {
  copies -= 1;
  attempt.release(outcome);
}

/** Reads every answer to its end, so that its connection can be used again. */
const NOBODY: AttemptEvents = {
  onReady() {},
  onInterim() {},
  onHead() {},
  onData() {},
  onFlush() {},
  onDrained() {},
  onAnswered: (attempt) => finish(attempt, attempt.outcome),
  onFailed: (attempt, fault) => finish(attempt, failureOf(fault).outcome),
};
