// One connection from a client to a backend: pick, connect, and both directions of bytes until both have ended. One
// object per connection. Whatever happens, the pick is released exactly once, an orderly end on one side is an orderly
// end on the other, and a cut connection is cut with a reset, so that nobody takes what came of it for the whole.
import { connect, type Socket } from "node:net";
import { backendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { Route } from "@evenkeel/core/config/resolve.ts";
import { MAX_EXCLUDES } from "@evenkeel/core/ledger/ledger.ts";
import { releaseSent } from "../messages/lending.ts";
import type { Fault } from "../messages/outgoing.ts";
import { type Attempted, attemptedBy, type Breaker, REFUSED } from "../proxy/breaker.ts";
import type { Outcome, Pick } from "../scheduling/scheduling.ts";
import { connectFault, detailOf } from "../upstream/faults.ts";
import type { Idle, IdleList } from "./idle-list.ts";
import { StreamPlacement } from "./placement.ts";
import { type AddressAndPort, proxyHeader } from "./proxy-protocol.ts";
import type { ListenerSeries, StreamResult } from "./report.ts";
import { readBackend, reset, type Sides, tieBackend, tieClient } from "./sides.ts";
import type { StreamDestination, StreamSurroundings } from "./surroundings.ts";

/** Both sides are asked whether they are still there after this silence, in ms; the system repeats and gives up. */
export const KEEP_ALIVE_MS = 60_000;

/** What all connections of a listener share. */
export interface StreamListener {
  /** Of the configuration in force. */
  name: string;
  series: ListenerSeries;
  idle: IdleList<Stream>;
}

/** A connection that is to be served. */
export interface Accepted {
  /** Paused. */
  socket: Socket;
  /** The bare connection: `socket` itself, or what is below its TLS. */
  transport: Socket;
  source: AddressAndPort;
  /** Where the client connected to. */
  destination: AddressAndPort;
  /** What was read of it already. */
  head: Buffer | null;
  /** On the clock. */
  sinceMs: number;
}

export class Stream implements Idle, Sides {
  older: Idle | null = null;
  newer: Idle | null = null;
  activeMs = 0;

  readonly #around: StreamSurroundings;
  readonly #listener: StreamListener;
  readonly #accepted: Accepted;
  readonly #client: Socket;
  readonly #route: Route;
  /** Its budget pays for all attempts. */
  readonly #home: StreamDestination;
  readonly #placement: StreamPlacement;
  /** What came of the client before there was a backend to send it to: one read of the system at most. */
  #head: Buffer | null;
  #pick: Pick | null = null;
  /** The last one tried. */
  #backendName: string | null = null;
  #backend: Socket | null = null;
  /** Of the attempt under way; null: it has none, or was told already. */
  #breaker: Breaker | null = null;
  #ticket = REFUSED;
  #timer: NodeJS.Timeout | null = null;
  #attempts = 0;
  #attemptedMs = 0;
  #connectMs: number | null = null;
  #clientEnded = false;
  #clientClosed = false;
  #backendClosed = false;
  #bytesIn = 0;
  #bytesOut = 0;
  /** Of the last attempt, for the log. */
  #fault = "";
  #done = false;

  constructor(
    around: StreamSurroundings,
    listener: StreamListener,
    accepted: Accepted,
    route: Route,
    destination: StreamDestination,
  ) {
    this.#around = around;
    this.#listener = listener;
    this.#accepted = accepted;
    this.#client = accepted.socket;
    this.#head = accepted.head;
    accepted.head = null; // kept no longer than needed
    this.#route = route;
    this.#home = destination;
    this.#placement = new StreamPlacement(around.scheduling, destination);
  }

  begin(): void {
    tieClient(this.#client, this);
    if (this.#head === null) this.#client.resume(); // else whether it is still there shows when the backend is
    this.#placement.destination.budget.earn();
    this.#acquire();
  }

  #acquire(): void {
    this.#placement.acquire((pick) => this.#onPick(pick));
  }

  #onPick(pick: Pick | null): void {
    if (this.#done) {
      if (pick) this.#around.scheduling.release(pick, "canceled", null);
      return;
    }
    if (pick === null) {
      if (this.#placement.moveOn()) this.#acquire();
      else this.#giveUp(this.#attempts === 0 ? "no-backend" : "backend-refused", this.#fault);
      return;
    }
    this.#pick = pick;
    this.#backendName = pick.backend;
    this.#attempts += 1;
    this.#attemptedMs = this.#around.clock();
    if (!this.#admitted(pick)) {
      this.#connectFailed("held-back", "it has failed too often to be tried again now");
      return;
    }
    this.#connect(pick);
  }

  #admitted({ backend }: Pick): boolean {
    const breaker = this.#placement.destination.breakers?.of(backend) ?? null;
    if (breaker === null) return true;
    this.#ticket = breaker.admit();
    if (this.#ticket === REFUSED) return false;
    this.#breaker = breaker;
    return true;
  }

  #connect(pick: Pick): void {
    const address = backendAddress(pick.url);
    if (address === null) {
      this.#giveUp("no-backend", `not the url of a backend: ${pick.url}`);
      return;
    }
    const { host, port } = address;
    const backend = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#backend = backend;
    tieBackend(backend, this);
    // After this turn's input: a process that was held up does not blame the backend for it.
    const { connectTimeoutMs } = this.#placement.destination.pool;
    this.#timer = setTimeout(setImmediate, connectTimeoutMs, onConnectTimeout, this, backend);
  }

  onConnectTimeout(late: Socket): void {
    if (late !== this.#backend || !late.connecting) return;
    this.#backend = null; // what it says from now on is nobody's
    late.destroy();
    this.#connectFailed("connect-timeout", "it did not answer in time");
  }

  onBackendConnect(backend: Socket): void {
    this.#stopTimer();
    this.#tellBreaker("connected");
    this.#connectMs = this.#around.clock() - this.#attemptedMs;
    backend.setKeepAlive(true, KEEP_ALIVE_MS);
    readBackend(backend);
    const version = this.#placement.destination.pool.sendProxyProtocol;
    if (version !== null) {
      backend.write(proxyHeader(version, this.#accepted.source, this.#accepted.destination));
    }
    this.#listener.idle.add(this);
    const head = this.#head;
    this.#head = null;
    if (head !== null) this.#forward(backend, head);
    if (this.#clientEnded) backend.end();
    else if (!backend.writableNeedDrain) this.#client.resume();
  }

  #forward(backend: Socket, chunk: Buffer): void {
    this.#bytesIn += chunk.length;
    this.#listener.series.bytesIn.value += chunk.length;
    this.#listener.idle.touch(this);
    if (backend.write(chunk)) releaseSent(chunk, backend);
    else this.#client.pause();
  }

  onClientData(chunk: Buffer): void {
    if (this.#done) return;
    if (this.#connectMs !== null) {
      this.#forward(this.#backend as Socket, chunk);
      return;
    }
    this.#head = this.#head === null ? chunk : Buffer.concat([this.#head, chunk]);
    this.#client.pause();
  }

  onClientEnd(): void {
    this.#clientEnded = true;
    if (this.#connectMs !== null && !this.#done) this.#backend?.end();
  }

  onClientDrain(): void {
    if (this.#done) return;
    this.#listener.idle.touch(this);
    this.#backend?.resume();
  }

  onClientError(error: Error): void {
    if (!this.#done) this.#fault = detailOf(error);
  }

  onClientClose(broken: boolean): void {
    this.#clientClosed = true;
    if (this.#done) return;
    if (this.#connectMs === null) this.#finish("client-gone", "canceled", this.#fault);
    else if (broken) this.#finish("client-reset", "canceled", this.#fault);
    else if (this.#backendClosed) this.#finish("ended", "success", "");
  }

  onBackendData(backend: Socket, chunk: Buffer): void {
    if (this.#done) return;
    this.#bytesOut += chunk.length;
    this.#listener.series.bytesOut.value += chunk.length;
    this.#listener.idle.touch(this);
    if (this.#client.write(chunk)) releaseSent(chunk, this.#client);
    else backend.pause();
  }

  onBackendEnd(): void {
    if (!this.#done) this.#client.end();
  }

  onBackendDrain(): void {
    if (this.#done) return;
    this.#listener.idle.touch(this);
    if (!this.#clientEnded) this.#client.resume();
  }

  onBackendError(backend: Socket, error: Error): void {
    if (this.#done || backend !== this.#backend) return;
    if (this.#connectMs === null) {
      this.#backend = null;
      this.#connectFailed(connectFault(error, false), detailOf(error));
    } else {
      this.#fault = detailOf(error);
    }
  }

  onBackendClose(backend: Socket, broken: boolean): void {
    if (this.#done || backend !== this.#backend) return;
    this.#backendClosed = true;
    // Many servers end with a reset when something was left unread; only one that never said a word has failed.
    if (broken) this.#finish("backend-reset", this.#bytesOut === 0 ? "failure" : "success", this.#fault);
    else if (this.#clientClosed) this.#finish("ended", "success", "");
  }

  #connectFailed(fault: Fault | "held-back", detail: string): void {
    this.#stopTimer();
    this.#fault = detail;
    if (fault !== "held-back") this.#tellBreaker(attemptedBy(fault));
    // What this gateway cannot do, or does not try, is not the backend's fault.
    this.#release(fault === "exhausted" || fault === "held-back" ? "canceled" : "failure");
    if (fault === "exhausted") {
      this.#giveUp("gateway-exhausted", detail);
    } else if (this.#mayRetry()) {
      this.#placement.avoid(this.#backendName as string);
      this.#acquire();
    } else {
      this.#giveUp("backend-refused", detail);
    }
  }

  /** The first call of an attempt counts. */
  #tellBreaker(attempted: Attempted): void {
    this.#breaker?.ended(this.#ticket, attempted);
    this.#breaker = null;
  }

  /** Nothing was sent, so nothing is done twice. */
  #mayRetry(): boolean {
    const { pool, budget } = this.#home;
    const { held, next } = this.#placement.destination;
    if (held !== null && next === null) return false;
    if (this.#attempts > Math.min(this.#route.retries, MAX_EXCLUDES)) return false;
    if (budget.spend()) {
      this.#around.retries.retried(pool.name);
      return true;
    }
    this.#around.retries.budgetExhausted(pool.name);
    return false;
  }

  #giveUp(result: StreamResult, reason: string): void {
    this.#finish(result, "canceled", reason);
  }

  onIdle(): void {
    this.#finish("idle", "canceled", "");
  }

  /** Now, whatever is under way. */
  cut(): void {
    if (!this.#done) this.#finish("cut", "canceled", "");
  }

  #release(outcome: Outcome): void {
    const pick = this.#pick;
    this.#pick = null;
    this.#tellBreaker("unknown");
    if (pick) this.#around.scheduling.release(pick, outcome, this.#connectMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** After this nothing that still happens to the sockets matters. */
  #finish(result: StreamResult, outcome: Outcome, reason: string): void {
    this.#done = true;
    this.#stopTimer();
    this.#listener.idle.delete(this);
    this.#release(outcome);
    this.#head = null;
    if (result !== "ended") {
      reset(this.#client, this.#accepted.transport);
      if (this.#backend !== null) reset(this.#backend, this.#backend);
    }
    this.#around.report.finished({
      listener: this.#listener.name,
      client: this.#accepted.source.address,
      route: this.#route.name,
      pool: this.#placement.destination.pool.name,
      backend: this.#backendName,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      durationMs: this.#around.clock() - this.#accepted.sinceMs,
      connectMs: this.#connectMs,
      attempts: this.#attempts,
      result,
      reason,
    });
  }
}

const onConnectTimeout = (stream: Stream, late: Socket): void => stream.onConnectTimeout(late);
