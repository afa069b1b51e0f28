// One request and its answer: intake, pick, attempts, and what became of it. One object per request; it is also the
// undici handler of each attempt, of which there is at most one at a time. Whatever happens, the pick is released
// exactly once, and the client is answered once or cut off.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import { type Dispatcher, errors } from "undici";
import type { Endpoint, Serving } from "../listeners/connection.ts";
import { ANY_BACKEND, type Outcome, type Pick, type Scheduling } from "../scheduling/scheduling.ts";
import type { Origin, Origins } from "../upstream/origins.ts";
import { answer } from "./answer.ts";
import { ClientWatch } from "./client-watch.ts";
import { type Failure, failureOf, NO_BACKEND, outcomeOf, SATURATED } from "./failure.ts";
import { type Intake, takeIn } from "./intake.ts";
import { CLIENT_ABORT, type Report } from "./report.ts";
import { collectBody, discardRest, streamBody } from "./request-body.ts";
import { requestHeaders } from "./request-headers.ts";
import { reasonPhrase, responseHeaders, responseTrailers } from "./response-headers.ts";
import { elsewhere, mayRetry } from "./retry.ts";
import type { Rules } from "./rules.ts";

const CLIENT_GONE = new Error("the client closed the connection");
const MALFORMED = new Error("the body of the request is not valid HTTP");

/** What all requests of a gateway share. */
export interface Surroundings {
  scheduling: Scheduling;
  origins: Origins;
  report: Report;
  /** ms, monotonic */
  clock: () => number;
}

/** Serves one request under the rules it came in with. */
export function serve(
  around: Surroundings,
  rules: Rules,
  request: IncomingMessage,
  response: ServerResponse,
  endpoint: Endpoint,
): Serving {
  const intake = takeIn(request, rules);
  const exchange = new Exchange(around, rules, request, response, endpoint);
  if ("status" in intake) exchange.refuse(intake);
  else exchange.begin(intake);
  return exchange;
}

class Exchange implements Dispatcher.DispatchHandler, Serving {
  readonly #around: Surroundings;
  readonly #rules: Rules;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #endpoint: Endpoint;
  readonly #client: ClientWatch;
  readonly #startedMs: number;
  /** Null while the request was not admitted: then nothing but a refusal follows. */
  #intake: Intake | null = null;
  #body: Buffer | Readable | null = null;
  #headers: string[] | null = null;
  #pick: Pick | null = null;
  #origin: Origin | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  /** What is asked of the scheduler; null on a static route. */
  #want: Want | null = null;
  /** The last one tried. */
  #backend: string | null = null;
  #attempts = 0;
  #attemptedMs = 0;
  #ttfbMs: number | null = null;
  /** Of the last attempt. */
  #failure: Failure | null = null;
  /** Of this attempt: bytes of the request may have reached the backend. */
  #sent = false;
  /** Of this attempt: when all of the request had been written. */
  #sentMs: number | null = null;
  /** The backend's, once its header section was passed on. */
  #status = 0;
  #bodyBegun = false;
  #drainWatched = false;
  #done = false;

  constructor(
    around: Surroundings,
    rules: Rules,
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
  ) {
    this.#around = around;
    this.#rules = rules;
    this.#request = request;
    this.#response = response;
    this.#endpoint = endpoint;
    this.#client = new ClientWatch(request.socket);
    this.#startedMs = around.clock();
  }

  begin(intake: Intake): void {
    this.#intake = intake;
    intake.pool.budget.earn();
    if (intake.body !== "small") {
      this.#acquire(intake);
      return;
    }
    collectBody(this.#request, this.#client, (body) => {
      this.#body = body;
      this.#acquire(intake);
    });
  }

  #acquire(intake: Intake): void {
    const { pool, backend } = intake.route;
    const { scheduling } = this.#around;
    if (backend !== null) {
      this.#onPick(intake, scheduling.hold(pool, backend));
      return;
    }
    this.#want ??= intake.pool.ask?.(this.#request, intake.target) ?? ANY_BACKEND;
    scheduling.acquire(pool, this.#want, (pick) => this.#onPick(intake, pick));
  }

  #onPick(intake: Intake, pick: Pick | null): void {
    if (this.#done) {
      if (pick) this.#around.scheduling.release(pick, "canceled", null);
      return;
    }
    if (pick === null) {
      this.refuse(this.#failure ?? NO_BACKEND);
      return;
    }
    this.#pick = pick;
    this.#backend = pick.backend;
    this.#attempts += 1;
    this.#controller = null;
    this.#sent = false;
    this.#sentMs = null;
    this.#attemptedMs = this.#around.clock();
    const origin = this.#around.origins.get(pick.url);
    if (!origin.enter()) {
      this.#fail(SATURATED);
      return;
    }
    this.#origin = origin;
    this.#dispatch(intake, origin);
  }

  #dispatch({ target, route, pool, body }: Intake, origin: Origin): void {
    const ownCookie = pool.affinity?.cookie ?? null;
    this.#headers ??= requestHeaders(this.#request, target, this.#rules.trust, ownCookie);
    if (body === "stream") this.#body = streamBody(this.#request, this.#client);
    const options = {
      method: this.#request.method as string,
      path: target.forwarded,
      headers: this.#headers,
      body: this.#body,
      headersTimeout: route.timeouts.responseHeadersMs,
      bodyTimeout: route.timeouts.idleMs,
      servername: origin.hostname,
    };
    origin.dispatch(options, this);
  }

  /** The request is about to be written to a connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#done) controller.abort(CLIENT_GONE);
  }

  /** All of it, body included. */
  onRequestSent(): void {
    this.#sentMs = this.#around.clock();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    parsed: IncomingHttpHeaders,
    message = "",
  ): void {
    if (this.#done) return;
    if (status < 200) {
      this.#boundInterim(controller);
      return;
    }
    this.#ttfbMs = this.#around.clock() - this.#attemptedMs;
    const headers = this.#responseHeaders(controller.rawHeaders as Buffer[], parsed);
    if (this.#endpoint.closing) this.#response.shouldKeepAlive = false;
    this.#response.writeHead(status, reasonPhrase(status, message), headers);
    this.#status = status;
    process.nextTick(flushHead, this);
  }

  /** What the backend says to the client, without what it says to us, and what we say ourselves. */
  #responseHeaders(raw: Buffer[], parsed: IncomingHttpHeaders): string[] {
    const { affinity, loadReports } = (this.#intake as Intake).pool;
    const { backend } = this.#pick as Pick;
    const reporting = loadReports !== null;
    const ownCookie = affinity?.cookie ?? null;
    const headers = responseHeaders(raw, parsed.connection, this.#shownBackend(), reporting, ownCookie);
    const report = loadReports?.read(parsed);
    if (report) this.#around.scheduling.report(this.#pick as Pick, report);
    if (affinity && this.#want && this.#want.stick !== backend) {
      const cookie = affinity.bind(backend);
      if (cookie !== null) headers.push("set-cookie", cookie);
    }
    return headers;
  }

  /** Each interim answer starts undici's wait for the header section anew, but not the route's. */
  #boundInterim(controller: Dispatcher.DispatchController): void {
    if (this.#sentMs === null) return;
    const { responseHeadersMs } = (this.#intake as Intake).route.timeouts;
    if (this.#around.clock() - this.#sentMs > responseHeadersMs) {
      controller.abort(new errors.HeadersTimeoutError());
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#bodyBegun = true;
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#client.mustRead(true);
    if (this.#drainWatched) return;
    this.#drainWatched = true;
    this.#response.on("drain", () => this.#onDrain());
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, received: IncomingHttpHeaders): void {
    if (this.#done) return;
    this.#release(outcomeOf(this.#status));
    const trailers = responseTrailers(received);
    if (trailers) this.#response.addTrailers(trailers);
    this.#conclude(this.#status, null);
    this.#response.end();
    discardRest(this.#request);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done) return;
    if (this.#status === 0) {
      this.#fail(failureOf(error));
      return;
    }
    this.#release("failure");
    this.#conclude(this.#status, `the answer broke off: ${error.message}`);
    this.#request.socket.resetAndDestroy(); // an orderly end could pass for the end of the body
  }

  /** A header section goes out with the first bytes of the body, or alone when those are not there yet. */
  flushHead(): void {
    if (!this.#done && !this.#bodyBegun) this.#response.flushHeaders();
  }

  #fail(failure: Failure): void {
    this.#failure = failure;
    this.#release(failure.outcome);
    const intake = this.#intake as Intake;
    const attempted = { attempts: this.#attempts, sent: this.#sent, method: this.#request.method as string };
    if (mayRetry(intake, failure, attempted, this.#around.report)) {
      if (this.#want) this.#want = elsewhere(this.#want, this.#backend as string);
      this.#acquire(intake);
    } else {
      this.refuse(failure);
    }
  }

  refuse({ status, text }: { status: number; text: string }): void {
    this.#conclude(status, text);
    if (this.#endpoint.closing) this.#response.shouldKeepAlive = false;
    answer(this.#response, status, text, this.#shownBackend());
    discardRest(this.#request);
  }

  #onDrain(): void {
    if (this.#done) return;
    this.#client.mustRead(false);
    this.#controller?.resume();
  }

  /** The client is gone, or nothing is left to do. */
  onClose(): void {
    if (this.#done) return;
    this.#release("canceled");
    this.#conclude(CLIENT_ABORT, CLIENT_GONE.message);
    this.#controller?.abort(CLIENT_GONE);
  }

  /** Past the header section of the answer nothing else can be said to the client. */
  onMalformed(status: number): void {
    if (this.#done) return;
    this.#release("canceled");
    if (this.#status === 0) {
      this.#response.shouldKeepAlive = false;
      this.refuse({ status, text: MALFORMED.message });
    } else {
      this.#conclude(this.#status, MALFORMED.message);
      this.#request.socket.destroy();
    }
    this.#controller?.abort(MALFORMED);
  }

  #release(outcome: Outcome): void {
    const pick = this.#pick;
    this.#origin?.leave();
    this.#origin = null;
    this.#pick = null;
    if (pick) this.#around.scheduling.release(pick, outcome, this.#ttfbMs);
  }

  /** After this nothing that is still under way may touch the client. */
  #conclude(status: number, reason: string | null): void {
    this.#done = true;
    this.#client.stop();
    if (this.#intake?.body === "stream") (this.#body as Readable | null)?.destroy();
    this.#around.report.finished({
      method: this.#request.method as string,
      route: this.#intake?.route.name ?? null,
      pool: this.#intake?.route.pool ?? null,
      backend: this.#backend,
      status,
      durationMs: this.#around.clock() - this.#startedMs,
      ttfbMs: this.#ttfbMs,
      attempts: this.#attempts,
      reason,
    });
  }

  #shownBackend(): string | null {
    return this.#rules.debugHeaders ? this.#backend : null;
  }
}

function flushHead(exchange: Exchange): void {
  exchange.flushHead();
}
