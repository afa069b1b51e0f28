// One request and its answer: whose it is, who may, which backend, attempts, and what became of it. One object per
// request, between the client's connection and the attempts. Whatever happens, each pick is released exactly once, and
// the client is answered once or cut off.
import type { Grant, Refusal } from "../access/access.ts";
import type { Fields } from "../messages/fields.ts";
import type { ClientEvents, Incoming } from "../messages/incoming.ts";
import type { ResponseHead } from "../messages/message.ts";
import type { Fault } from "../messages/outgoing.ts";
import type { Pick } from "../scheduling/scheduling.ts";
import { answer, answerWith } from "./answer.ts";
import type { Arrival } from "./arrival.ts";
import type { Attempt, AttemptEvents } from "./attempt.ts";
import { Attempts } from "./attempts.ts";
import { composeAnswer } from "./compose.ts";
import { type Failure, failureOf, NO_BACKEND, notWanted, TOO_LARGE, TOO_LONG } from "./failure.ts";
import { takeIn } from "./intake.ts";
import { shadow } from "./mirror.ts";
import { type Placement, placeRequest } from "./placement.ts";
import { CLIENT_ABORT } from "./report.ts";
import { passedTrailers } from "./request-fields.ts";
import { HIDING_NOTHING, responseFields } from "./response-fields.ts";
import { mayHedge } from "./retry.ts";
import type { ProxiedRules, RouteRules } from "./route-rules.ts";
import type { Rules } from "./rules.ts";
import type { Surroundings } from "./surroundings.ts";
import { Withheld } from "./withheld.ts";

/** Largest body that is read whole first: it can be sent again, and a slow client holds no place at a backend. */
export const REPLAYABLE_BYTES = 64 * 1024;

const NOTHING: readonly string[] = [];

/** Serves one request under the rules it came in with. */
export function serve(around: Surroundings, rules: Rules, incoming: Incoming): ClientEvents {
  const exchange = new Exchange(around, rules, incoming);
  exchange.begin();
  return exchange;
}

class Exchange implements ClientEvents, AttemptEvents {
  readonly #around: Surroundings;
  readonly #rules: Rules;
  readonly #incoming: Incoming;
  readonly #startedMs: number;
  #routeName: string | null = null;
  #maxBodyBytes = 0;
  /** Of a route that is proxied, once the request is admitted. */
  #route: ProxiedRules | null = null;
  /** Null until a pool was found. */
  #placement: Placement | null = null;
  #grant: Grant | null = null;
  /** Of a small body, until it is whole; null when it is not collected. */
  #parts: Buffer[] | null = null;
  /** Bytes of the body that have come. */
  #received = 0;
  /** Null until a pool was found. */
  #attempts: Attempts | null = null;
  /** The body has begun to go to a backend, so that it cannot go to another one. */
  #streaming = false;
  /** The answer that goes to the client if there is nobody else to ask. */
  #withheld: Withheld | null = null;
  /** Of the last attempt that failed. */
  #failure: Failure | null = null;
  #detail = "";
  /** The backend's, once its header section was passed on. */
  #status = 0;
  #tunnel = false;
  /** The side of the tunnel that sends no more. */
  #silent: "client" | "backend" | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #done = false;

  constructor(around: Surroundings, rules: Rules, incoming: Incoming) {
    this.#around = around;
    this.#rules = rules;
    this.#incoming = incoming;
    this.#startedMs = around.clock();
  }

  begin(): void {
    const intake = takeIn(this.#incoming, this.#rules);
    if ("status" in intake) {
      this.#refuse(intake);
      return;
    }
    const { arrival, route } = intake;
    this.#routeName = route.route.name;
    this.#maxBodyBytes = route.maxBodyBytes;
    const { bodyLength } = arrival.head;
    if (bodyLength > route.maxBodyBytes && bodyLength !== Number.POSITIVE_INFINITY) {
      this.#refuse(TOO_LARGE);
      return;
    }
    const { requestMs } = route.route.timeouts;
    if (requestMs !== null) this.#deadline = setTimeout(() => this.#onDeadline(), requestMs);
    if (route.access === null) this.#admit(arrival, route);
    else route.access.check(arrival, (refusal, grant) => this.#onAccess(arrival, route, refusal, grant));
  }

  #onAccess(arrival: Arrival, route: RouteRules, refusal: Refusal | null, grant: Grant | null): void {
    if (this.#done) return;
    this.#grant = grant;
    if (refusal) this.#turnAway(refusal);
    else this.#admit(arrival, route);
  }

  #turnAway({ status, text, fields, body }: Refusal): void {
    if (body === null) {
      this.#refuse({ status, text }, fields);
      return;
    }
    this.#conclude(status, text);
    answerWith(this.#incoming, status, fields, body);
  }

  #admit(arrival: Arrival, route: RouteRules): void {
    if (route.reply !== null) {
      const secure = arrival.connection.tls !== null;
      const { status, fields, body } = route.reply({ target: arrival.target, secure });
      this.#conclude(status, null);
      const granted = this.#grant?.answer ?? NOTHING;
      answerWith(this.#incoming, status, granted.length > 0 ? [...fields, ...granted] : fields, body);
      return;
    }
    this.#route = route;
    const placement = placeRequest(this.#around, route, arrival, this.#grant);
    if ("status" in placement) {
      this.#refuse(placement);
      return;
    }
    this.#placement = placement;
    this.#attempts = new Attempts(this.#around, this, placement);
    const { bodyLength } = arrival.head;
    if (bodyLength > 0 && bodyLength <= Math.max(REPLAYABLE_BYTES, route.mirror?.maxBodyBytes ?? 0)) {
      this.#parts = [];
      this.#incoming.read();
    } else {
      this.#acquire();
    }
  }

  #acquire(): void {
    (this.#placement as Placement).acquire((pick) => this.#onPick(pick));
  }

  #onNobody(): void {
    if (this.#placement?.moveOn()) this.#acquire();
    else if (this.#withheld === null) this.#refuse(this.#failure ?? NO_BACKEND);
    else this.#withheld.passOn(this, (attempt, head) => this.#passOn(attempt, head));
  }

  #onPick(pick: Pick | null): void {
    if (this.#done) {
      if (pick) this.#around.scheduling.release(pick, "canceled", null);
      return;
    }
    if (pick === null) {
      this.#onNobody();
      return;
    }
    this.#withheld?.discard();
    this.#withheld = null;
    const attempts = this.#attempts as Attempts;
    const { request, destination } = this.#placement as Placement;
    request.fresh = this.#failure?.again === "anywhere";
    const unsent = attempts.begin(pick);
    if (unsent !== null) {
      this.#fail(attempts.current as Attempt, unsent);
      return;
    }
    if (attempts.count > 1) return;
    const route = this.#route as ProxiedRules;
    if (route.mirror !== null) shadow(this.#around, route.mirror, request);
    const { hedge } = destination.pool;
    if (hedge !== null && destination.held === null && mayHedge(request)) attempts.hedge(hedge);
  }

  onReady(): void {
    this.#streaming = true;
    this.#incoming.read();
  }

  onInterim(_: Attempt, status: number, fields: Fields): void {
    this.#incoming.sendInterim(status, responseFields(fields, HIDING_NOTHING));
  }

  onHead(attempt: Attempt, head: ResponseHead): void {
    const retried = this.#route?.retryStatuses ?? null;
    if (retried !== null && retried[head.status] === 1 && this.#repeat(attempt, head)) return;
    this.#passOn(attempt, head);
  }

  /** @returns false where nobody else may be asked */
  #repeat(attempt: Attempt, head: ResponseHead): boolean {
    const failure = notWanted(head.status, attempt.outcome);
    if (head.tunnel || this.#streaming) return false;
    if (this.#attempts?.drop(attempt, failure.outcome)) {
      this.#avoid(attempt, failure);
      return true;
    }
    if (!this.#mayRetry(attempt, failure)) return false;
    this.#withheld = new Withheld(attempt, head);
    this.#avoid(attempt, failure);
    this.#acquire();
    return true;
  }

  #passOn(attempt: Attempt, { status, reason, fields, bodyLength, tunnel }: ResponseHead): void {
    const { pick } = attempt;
    const { served, want } = this.#placement as Placement;
    this.#attempts?.answeredBy(attempt);
    this.#status = status;
    this.#tunnel = tunnel;
    const passed = composeAnswer(
      {
        ...{ method: this.#incoming.head.method, status, fields, tunnel, pick },
        ...{ want, shown: this.#rules.debugHeaders, grant: this.#grant },
      },
      this.#route as ProxiedRules,
      served,
      this.#around.scheduling,
    );
    this.#incoming.sendHead({ status, reason, fields: passed, bodyLength, tunnel });
    if (!tunnel) return;
    this.#stopDeadline(); // the answer is there; how long a tunnel may be silent is bounded by itself
    this.#incoming.flush();
    this.#incoming.read();
  }

  onData(attempt: Attempt, chunk: Buffer): void {
    if (!this.#incoming.write(chunk)) attempt.pause();
  }

  onFlush(): void {
    this.#incoming.flush();
  }

  onAnswered(attempt: Attempt, trailers: Fields | null): void {
    if (this.#tunnel) {
      this.#closeHalf(attempt, "backend");
      this.#incoming.end(null);
      return;
    }
    attempt.release(attempt.outcome);
    this.#conclude(this.#status, null);
    this.#incoming.end(passedTrailers(trailers, NOTHING));
  }

  /** Until both sides have ended it, the one that has not can still send. */
  #closeHalf(attempt: Attempt, side: "client" | "backend"): void {
    if (this.#silent !== null) this.#endTunnel(attempt);
    this.#silent = side;
  }

  #endTunnel(attempt: Attempt): void {
    attempt.release("success");
    this.#conclude(this.#status, null);
  }

  onDrained(): void {
    this.#incoming.read();
  }

  onFailed(attempt: Attempt, fault: Fault, detail: string): void {
    this.#detail = detail;
    if (this.#status === 0) {
      const failure = failureOf(fault);
      if (this.#attempts?.drop(attempt, failure.outcome)) this.#avoid(attempt, failure);
      else this.#fail(attempt, failure);
      return;
    }
    if (this.#silent === "backend") {
      this.#endTunnel(attempt); // all that it had to say has reached the client
      return;
    }
    // Silence in a tunnel is nobody's fault.
    attempt.release(this.#tunnel && fault === "idle-timeout" ? "success" : "failure");
    this.#conclude(this.#status, `the answer broke off: ${fault}`);
    this.#incoming.abort();
  }

  onClientData(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#parts !== null) {
      this.#parts.push(chunk);
    } else if (!this.#tunnel && this.#received > this.#maxBodyBytes) {
      this.onClientFault(TOO_LARGE.status, TOO_LARGE.text);
    } else if (this.#attempts?.current?.write(chunk) === false) {
      this.#incoming.pauseReading();
    }
  }

  onClientEnd(trailers: Fields | null): void {
    const parts = this.#parts;
    if (parts === null) {
      const attempt = this.#attempts?.current;
      attempt?.end(passedTrailers(trailers, this.#grant?.remove ?? NOTHING));
      if (this.#tunnel && !this.#done && attempt) this.#closeHalf(attempt, "client");
      return;
    }
    this.#parts = null;
    const { request } = this.#placement as Placement;
    request.body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    this.#acquire();
  }

  onClientDrain(): void {
    this.#attempts?.current?.resume();
  }

  onClientGone(reason: string): void {
    if (this.#done) return;
    this.#attempts?.cancel(this.#tunnel ? "success" : "canceled");
    this.#conclude(this.#tunnel ? this.#status : CLIENT_ABORT, this.#tunnel ? null : reason);
  }

  onClientFault(status: number, reason: string): void {
    if (this.#done) return;
    this.#attempts?.cancel("canceled");
    if (this.#status === 0) {
      this.#refuse({ status, text: reason });
    } else {
      this.#conclude(this.#status, reason);
      this.#incoming.abort();
    }
  }

  #stopDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
  }

  #onDeadline(): void {
    this.onClientFault(TOO_LONG.status, TOO_LONG.text);
  }

  #fail(attempt: Attempt, failure: Failure): void {
    this.#failure = failure;
    const again = this.#mayRetry(attempt, failure);
    attempt.release(failure.outcome);
    if (!again) {
      this.#refuse(failure);
      return;
    }
    this.#avoid(attempt, failure);
    this.#acquire();
  }

  #mayRetry({ sent }: Attempt, failure: Failure): boolean {
    const attempts = this.#attempts?.count ?? 0;
    const { method } = this.#incoming.head;
    return (this.#placement as Placement).mayRetry(failure, {
      attempts,
      sent,
      method,
      replayable: !this.#streaming,
    });
  }

  #avoid({ pick }: Attempt, { again }: Failure): void {
    if (again === "elsewhere") this.#placement?.avoid(pick);
  }

  #refuse(
    { status, text }: { status: number; text: string },
    fields: Fields = this.#grant?.answer ?? [],
  ): void {
    this.#conclude(status, text);
    const tried = this.#rules.debugHeaders ? (this.#attempts?.current?.pick.backend ?? null) : null;
    answer(this.#incoming, status, text, fields, tried);
  }

  /** After this nothing that is still under way may touch the client. */
  #conclude(status: number, reason: string | null): void {
    this.#done = true;
    this.#stopDeadline();
    this.#attempts?.end();
    this.#around.report.finished({
      method: this.#incoming.head.method,
      route: this.#routeName,
      pool: this.#placement?.served.pool.name ?? null,
      backend: this.#attempts?.current?.pick.backend ?? null,
      status,
      durationMs: this.#around.clock() - this.#startedMs,
      ttfbMs: this.#attempts?.current?.ttfbMs ?? null,
      attempts: this.#attempts?.count ?? 0,
      reason,
      detail: reason === null ? "" : this.#detail,
    });
  }
}
