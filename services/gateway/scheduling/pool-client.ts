// One pool's conversation with the scheduler. One settle is in flight at a time; what arrives meanwhile goes into the
// next, so batches form by themselves: none when idle, large exactly when it is busy. When no answer comes, requests
// do not wait for it: this gateway picks by itself until one does, and then states its row in full.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { MAX_WANTS, type PoolState, type Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { SettleRequest, SettleResponse } from "@evenkeel/core/wire/settle.ts";
import type { Observer } from "./observer.ts";
import { RetryLater } from "./retry-later.ts";
import { createRow } from "./row.ts";
import { type Schedulers, SETTLE_TIMEOUT_MS, type SettleCall } from "./schedulers.ts";
import type { Outcome, Pick, PoolView } from "./scheduling.ts";
import { SettleRefused } from "./settle-connection.ts";
import { noteEvent, noteRead, type OnSeen } from "./sightings.ts";
import { createSnapshot, type Snapshot } from "./snapshot.ts";
import { Standing } from "./standing.ts";

/** A request waits no longer than this for a settle; then this gateway picks by itself. */
const DECISION_TIMEOUT_MS = 25;
/** What was released waits so long for a want to go along with; without one it is stated alone. */
const RELEASES_WAIT_MS = 1;
/** Reading a pool costs Redis about 9 µs a backend: with this many, a beat's read stays near 2 ms. */
const BACKENDS_PER_BEAT = 200;

export interface PoolClientOptions {
  gatewayId: string;
  pool: Pool;
  schedulers: Schedulers;
  /** Puts work off to the end of this turn of the event loop. */
  endOfTurn: (work: () => void) => void;
  clock: () => number;
  /** ms since the epoch */
  now: () => number;
  random: () => number;
  observer: Observer;
  /** Whether enough of its backends are ready has changed. */
  onAble: () => void;
}

/** A pick is released where it was made, also when its pool was removed and made again meanwhile. */
export interface OwnedPick extends Pick {
  readonly owner: PoolClient;
}

type Done = (pick: Pick | null) => void;

interface PendingWant {
  want: Want;
  /** Null once the request has been served otherwise. */
  done: Done | null;
}

interface Settle {
  wants: PendingWant[];
  call: SettleCall | null;
  sentAtMs: number;
}

export class PoolClient {
  readonly #options: PoolClientOptions;
  readonly #name: string;
  readonly #row = createRow();
  readonly #snapshot: Snapshot;
  readonly #standing: Standing;
  /** One timer per pool, not per request: the settle in flight is overdue, or has failed. */
  readonly #patience: NodeJS.Timeout;
  /** There is only what was released to state. */
  readonly #lingering: NodeJS.Timeout;
  #lingers = false;
  #seq = 0;
  #full = true;
  #refresh = true;
  /** A heartbeat: settle even with nothing to say. */
  #due = false;
  #beats = 0;
  #waiting: PendingWant[] = [];
  #inFlight: Settle | null = null;
  #scheduled = false;
  #stopped = false;
  readonly #retry = new RetryLater(() => this.#tryAgain());
  #retrying = false;
  #able: boolean;
  readonly #seen: OnSeen;

  constructor(options: PoolClientOptions) {
    this.#options = options;
    this.#name = options.pool.name;
    this.#standing = new Standing(options.observer, options.clock);
    this.#snapshot = createSnapshot(options.pool, options.clock);
    this.#able = this.#snapshot.able;
    this.#seen = (by, atMs) => options.observer.seen(by, options.now() - atMs);
    // After this turn's input: an answer that lies in the socket while this process was busy is not overdue.
    this.#patience = setTimeout(() => {
      if (this.#inFlight) setImmediate(() => this.#checkOverdue());
    }, DECISION_TIMEOUT_MS).unref();
    this.#lingering = setTimeout(() => {
      this.#lingers = false;
      this.#sendAtEndOfTurn();
    }, RELEASES_WAIT_MS).unref();
  }

  /** Enough of its backends are ready to serve what comes. */
  get able(): boolean {
    return this.#able;
  }

  ready(backend: string): boolean {
    return this.#snapshot.ready(backend);
  }

  acquire(want: Want, done: Done): void {
    if (this.#standing.deciding === "fallback" || this.#stopped) done(this.#pickAlone(want));
    else this.#waiting.push({ want, done });
    this.#kick();
  }

  hold(backend: string): Pick | null {
    const pick = this.#pickOf(backend, "static");
    if (!pick) return null;
    this.#row.took(backend);
    this.#options.observer.decided("static");
    this.#kick();
    return pick;
  }

  release(pick: Pick, outcome: Outcome, ttfbMs: number | null): void {
    const moved = this.#snapshot.url(pick.backend) !== pick.url;
    // What an address did that the backend has left says nothing about the one it has now.
    this.#row.released(pick.backend, moved ? "canceled" : outcome, ttfbMs);
    this.#kick();
  }

  /** Goes with the next statement, at the latest with the next heartbeat. */
  report(pick: Pick, metrics: Record<string, number>): void {
    if (this.#snapshot.url(pick.backend) === pick.url) this.#row.reported(pick.backend, metrics);
  }

  configure(pool: Pool): void {
    this.#snapshot.configure(pool);
    this.#row.keep((backend) => this.#snapshot.url(backend) !== undefined);
    this.#judge();
  }

  /**
   * Once a heartbeat: states that this gateway lives; and, in large pools less often, states all it holds and refreshes
   * the snapshot's counts.
   */
  beat(): void {
    this.#standing.beat();
    this.#beats += 1;
    if (this.#beats % Math.ceil((this.#snapshot.size + 1) / BACKENDS_PER_BEAT) === 0) {
      this.#refresh = true;
      // Whatever may have gone wrong with a count, unnoticed by anyone, ends here.
      this.#full = true;
    }
    this.#due = true;
    this.#kick();
  }

  /** Something may have been missed: read the pool again. */
  reread(): void {
    this.#refresh = true;
    this.#kick();
  }

  onEvent(event: Event & { type: "pool" }): void {
    if (event.version <= this.#snapshot.version) return;
    noteEvent(this.#snapshot, event, this.#seen);
    const complete = event.changes !== undefined && this.#snapshot.apply(event.version, event.changes);
    this.#judge();
    if (!complete) this.reread();
  }

  /** How the pool is, now that something new is known of it. */
  #judge(): void {
    const { panic, able } = this.#snapshot;
    this.#standing.panic(panic);
    if (able === this.#able) return;
    this.#able = able;
    this.#options.onAble();
  }

  view(): Omit<PoolView, "failover"> {
    return {
      pool: this.#name,
      version: this.#snapshot.version,
      deciding: this.#standing.deciding,
      held: Object.fromEntries(this.#row.held),
      picks: Object.fromEntries(this.#row.picks),
      eligible: this.#snapshot.eligible(),
    };
  }

  /** States an empty row and ends; resolves when that was answered or failed. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#patience);
    clearTimeout(this.#lingering);
    this.#retry.stop();
    this.#serveAlone(this.#inFlight?.wants ?? []);
    this.#inFlight?.call?.abort(new Error("the gateway stops asking for this pool"));
    this.#serveAlone(this.#waiting.splice(0));
    await this.#stateNothing();
    this.#options.observer.close();
  }

  #pickOf(backend: string, source: Pick["source"]): OwnedPick | null {
    const url = this.#snapshot.url(backend);
    return url === undefined ? null : { owner: this, pool: this.#name, backend, url, source };
  }

  #pickAlone(want: Want): Pick | null {
    const backend = this.#snapshot.choose(this.#row.held, want, this.#options.random);
    if (backend === null) return null;
    this.#row.took(backend);
    this.#options.observer.decided("fallback");
    return this.#pickOf(backend, "fallback");
  }

  #serveAlone(wants: readonly PendingWant[]): void {
    for (const pending of wants) {
      const { want, done } = pending;
      pending.done = null;
      if (done) done(this.#pickAlone(want));
    }
  }

  #serveAllAlone(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#inFlight) this.#serveAlone(this.#inFlight.wants);
    this.#serveAlone(waiting);
  }

  /** A settle only for what was released would make the next want wait until it is answered, so it is put off. */
  #kick(): void {
    if (this.#waiting.length > 0 || this.#full || this.#refresh || this.#due) this.#sendAtEndOfTurn();
    else if (!this.#lingers && this.#row.dirty) {
      this.#lingers = true;
      this.#lingering.refresh();
    }
  }

  /** Requests that were read together are stated together. */
  #sendAtEndOfTurn(): void {
    if (this.#scheduled || this.#inFlight || this.#retry.waiting || this.#stopped) return;
    this.#scheduled = true;
    this.#options.endOfTurn(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#inFlight || this.#retry.waiting || this.#stopped) return;
    if (this.#waiting.length === 0 && !this.#row.dirty && !this.#refresh && !this.#full && !this.#due) return;
    const { schedulers } = this.#options;
    const url = schedulers.prefer(this.#name) ?? (this.#retrying ? schedulers.lastResort() : null);
    this.#retrying = false;
    if (url !== null) {
      this.#state(url, this.#takeWaiting());
      return;
    }
    this.#standing.failed("no scheduler is known or answers");
    this.#serveAllAlone();
    this.#retry.start();
  }

  #takeWaiting(): PendingWant[] {
    if (this.#waiting.length > MAX_WANTS) return this.#waiting.splice(0, MAX_WANTS);
    const wants = this.#waiting;
    this.#waiting = [];
    return wants;
  }

  #state(url: string, wants: PendingWant[]): void {
    const { clock, gatewayId, schedulers } = this.#options;
    this.#seq += 1;
    const request: SettleRequest = {
      gateway: gatewayId,
      seq: this.#seq,
      full: this.#full,
      ...this.#row.take(this.#full),
      wants: wants.map(({ want }) => want),
      version: this.#snapshot.version,
      refresh: this.#refresh,
    };
    this.#full = false;
    this.#refresh = false;
    this.#due = false;
    const settle: Settle = { wants, call: null, sentAtMs: clock() };
    this.#inFlight = settle;
    this.#patience.refresh();
    settle.call = schedulers.settle(url, this.#name, request, (error, response) => {
      this.#inFlight = null;
      if (response?.status === "applied") this.#answered(settle, response);
      else
        this.#failed(
          settle,
          url,
          error ?? new SettleRefused("an equal or newer statement was applied before"),
        );
    });
  }

  #checkOverdue(): void {
    const settle = this.#inFlight;
    if (!settle) return;
    const waitedMs = this.#options.clock() - settle.sentAtMs;
    if (waitedMs >= SETTLE_TIMEOUT_MS) {
      settle.call?.timeOut(new Error(`no answer within ${SETTLE_TIMEOUT_MS} ms`));
      return;
    }
    if (waitedMs >= DECISION_TIMEOUT_MS) {
      this.#standing.late();
      this.#serveAllAlone();
    }
    this.#patience.refresh();
  }

  #answered(settle: Settle, response: SettleResponse): void {
    this.#options.observer.settled(this.#options.clock() - settle.sentAtMs);
    this.#retry.answered();
    if (response.resync) this.#full = true;
    for (const backend of response.picks) if (backend !== null) this.#row.picked(backend);
    if (response.pool) this.#adopt(response.pool);
    else if (response.version !== this.#snapshot.version) this.#refresh = true;
    this.#standing.answered();
    this.#serve(settle.wants, response.picks);
    this.#kick();
  }

  #adopt(pool: PoolState): void {
    noteRead(this.#snapshot, pool, this.#seen);
    this.#snapshot.replace(pool, this.#row.counted);
    this.#judge();
  }

  #serve(wants: readonly PendingWant[], picks: readonly (string | null)[]): void {
    for (const [i, pending] of wants.entries()) {
      const { want, done } = pending;
      pending.done = null;
      const backend = picks[i] ?? null;
      if (backend === null) {
        done?.(null);
        continue;
      }
      const pick = done ? this.#pickOf(backend, "scheduler") : null;
      if (pick) {
        this.#row.granted(backend);
        this.#options.observer.decided("scheduler");
        done?.(pick);
      } else {
        this.#row.declined(backend); // served otherwise meanwhile, or not known here
        done?.(this.#pickAlone(want));
      }
    }
  }

  #failed(settle: Settle, url: string, error: Error): void {
    this.#full = true;
    this.#refresh = true;
    this.#options.observer.failed(error.message);
    if (this.#stopped) return;
    const { schedulers } = this.#options;
    this.#waiting = settle.wants.filter((want) => want.done).concat(this.#waiting);
    const refused = error instanceof SettleRefused;
    if (!refused) schedulers.avoid(url);
    if (!refused && schedulers.prefer(this.#name) !== null) {
      this.#send();
      return;
    }
    this.#standing.failed(error.message);
    this.#serveAllAlone();
    this.#retry.start();
  }

  #tryAgain(): void {
    this.#retrying = true;
    this.#full = true;
    this.#kick();
  }

  async #stateNothing(): Promise<void> {
    const { gatewayId, schedulers } = this.#options;
    const url = schedulers.prefer(this.#name);
    if (url === null || this.#seq === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SETTLE_TIMEOUT_MS);
      const nothing = { held: {}, outcomes: {}, wants: [], version: this.#snapshot.version, refresh: false };
      const request = { gateway: gatewayId, seq: this.#seq + 1, full: true, ...nothing };
      schedulers.settle(url, this.#name, request, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
