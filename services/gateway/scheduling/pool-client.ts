// One pool's conversation with the scheduler. One settle is in flight at a time; what arrives meanwhile goes into the
// next, so batches form by themselves: none when idle, large exactly when it is busy. When no answer comes, requests
// do not wait for it: this gateway picks by itself until one does, and then states its row in full.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { MAX_WANTS } from "@evenkeel/core/ledger/ledger.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { SettleResponse } from "@evenkeel/core/wire/settle.ts";
import { createRow } from "./row.ts";
import { type Schedulers, SETTLE_TIMEOUT_MS, type SettleCall, SettleRefused } from "./schedulers.ts";
import type { Outcome, Pick, PoolView } from "./scheduling.ts";
import { createSnapshot } from "./snapshot.ts";

/** A request waits no longer than this for a settle; then this gateway picks by itself. */
export const DECISION_TIMEOUT_MS = 25;
/** Late answers now and then are counted; this long without one in time is worth a log line. */
const LATE_FOR_LONG_MS = 1_000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 500;
/** A pool older than what we know is believed after this: its version was not overtaken, it was lost with Redis. */
const OLDER_BELIEVED_AFTER_MS = 2_000;

export interface PoolClientOptions {
  gatewayId: string;
  pool: Pool;
  schedulers: Schedulers;
  clock: () => number;
  random: () => number;
  observe: Observer;
}

/** What is worth counting and logging. */
export interface Observer {
  decided(pool: string, source: Pick["source"]): void;
  settled(pool: string, durationMs: number): void;
  failed(pool: string, reason: string): void;
  overdue(pool: string): void;
  deciding(pool: string, by: PoolView["deciding"]): void;
  /** Schedulers fail, or are late for long; null: they answer again. */
  trouble(pool: string, reason: string | null): void;
  panic(pool: string, on: boolean): void;
}

export interface PoolClient {
  acquire(exclude: readonly string[], done: (pick: Pick | null) => void): void;
  hold(backend: string): Pick | null;
  release(pick: Pick, outcome: Outcome, ttfbMs: number | null): void;
  configure(pool: Pool): void;
  /** Once a heartbeat: states that this gateway lives and refreshes the snapshot's counts. */
  beat(): void;
  onEvent(event: Event & { type: "pool" }): void;
  view(): PoolView;
  /** States an empty row and ends; resolves when that was answered or failed. */
  stop(): Promise<void>;
}

interface PendingWant {
  exclude: readonly string[];
  /** Null once the request has been served otherwise. */
  done: ((pick: Pick | null) => void) | null;
}

interface Settle {
  wants: PendingWant[];
  call: SettleCall | null;
  sentAtMs: number;
}

export function createPoolClient(options: PoolClientOptions): PoolClient {
  const { gatewayId, schedulers, clock, random, observe } = options;
  const name = options.pool.name;
  const row = createRow();
  const snapshot = createSnapshot();
  snapshot.configure(options.pool);

  let seq = 0;
  let full = true;
  let refresh = true;
  let waiting: PendingWant[] = [];
  let inFlight: Settle | null = null;
  let scheduled = false;
  let stopped = false;
  let deciding: PoolView["deciding"] = "scheduler";
  let decidingSinceMs = clock();
  let trouble = false;
  let panic = false;
  let retrying = false;
  let retryMs = RETRY_MIN_MS;
  let retryTimer: NodeJS.Timeout | null = null;
  let snapshotAtMs = clock();

  const pickOf = (backend: string, source: Pick["source"]): Pick | null => {
    const url = snapshot.url(backend);
    return url === undefined ? null : { pool: name, backend, url, source };
  };

  const pickAlone = (exclude: readonly string[]): Pick | null => {
    const backend = snapshot.choose(row.held, exclude, random);
    if (backend === null) return null;
    row.took(backend);
    observe.decided(name, "fallback");
    return pickOf(backend, "fallback");
  };

  const serveAlone = (wants: PendingWant[]) => {
    for (const want of wants) {
      const { done } = want;
      want.done = null;
      done?.(pickAlone(want.exclude));
    }
  };

  const decideBy = (by: PoolView["deciding"]) => {
    if (deciding === by) return;
    deciding = by;
    decidingSinceMs = clock();
    observe.deciding(name, by);
  };

  const noteTrouble = (reason: string | null) => {
    if (trouble === (reason !== null)) return;
    trouble = reason !== null;
    observe.trouble(name, reason);
  };

  const notePanic = () => {
    if (panic === snapshot.panic) return;
    panic = snapshot.panic;
    observe.panic(name, panic);
  };

  const giveUpWaiting = () => {
    decideBy("fallback");
    const wants = waiting;
    waiting = [];
    if (inFlight) serveAlone(inFlight.wants);
    serveAlone(wants);
  };

  /** Deferred to the end of this turn of the event loop, so that requests read together are stated together. */
  const kick = () => {
    if (scheduled || inFlight || retryTimer || stopped) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      send();
    });
  };

  const send = () => {
    if (inFlight || retryTimer || stopped) return;
    if (waiting.length === 0 && !row.dirty && !refresh && !full) return;
    const url = schedulers.prefer(name) ?? (retrying ? schedulers.lastResort() : null);
    retrying = false;
    if (url === null) {
      noteTrouble("no scheduler is known or answers");
      giveUpWaiting();
      retryLater();
      return;
    }
    const wants = waiting.length > MAX_WANTS ? waiting.splice(0, MAX_WANTS) : waiting;
    if (wants === waiting) waiting = [];
    state(url, wants);
  };

  const state = (url: string, wants: PendingWant[]) => {
    seq += 1;
    const request = {
      gateway: gatewayId,
      seq,
      full,
      ...row.take(full),
      wants: wants.map(({ exclude }) => (exclude.length > 0 ? { exclude: [...exclude] } : {})),
      version: snapshot.version,
      refresh,
    };
    full = false;
    refresh = false;
    const settle: Settle = { wants, call: null, sentAtMs: clock() };
    inFlight = settle;
    patience.refresh();
    settle.call = schedulers.settle(url, name, request, (error, response) => {
      inFlight = null;
      if (response) answered(settle, response);
      else failed(settle, url, error as Error);
    });
  };

  /** One timer per pool, not per request: the settle in flight is overdue, or has failed. */
  const patience = setTimeout(() => {
    // After this turn's input: an answer that lies in the socket while this process was busy is not overdue.
    if (inFlight) setImmediate(checkOverdue, inFlight);
  }, DECISION_TIMEOUT_MS);
  patience.unref();

  const checkOverdue = (settle: Settle) => {
    if (inFlight !== settle) return;
    if (clock() - settle.sentAtMs >= SETTLE_TIMEOUT_MS) {
      settle.call?.abort(new Error(`no answer within ${SETTLE_TIMEOUT_MS} ms`));
      return;
    }
    if (deciding === "scheduler") observe.overdue(name);
    giveUpWaiting();
    patience.refresh();
  };

  const answered = (settle: Settle, response: SettleResponse) => {
    observe.settled(name, clock() - settle.sentAtMs);
    retryMs = RETRY_MIN_MS;
    if (response.status === "stale") {
      full = true;
      serveAlone(settle.wants);
    } else {
      if (response.resync) full = true;
      if (response.pool) adopt(response.pool);
      else if (response.version !== snapshot.version) refresh = true;
      noteTrouble(null);
      decideBy("scheduler");
      serve(settle.wants, response.picks);
    }
    if (waiting.length > 0 || row.dirty || full || refresh) kick();
  };

  const adopt = (pool: NonNullable<SettleResponse["pool"]>) => {
    if (pool.version < snapshot.version && clock() - snapshotAtMs < OLDER_BELIEVED_AFTER_MS) return;
    if (pool.version !== snapshot.version) snapshotAtMs = clock();
    snapshot.replace(pool, row.held);
    notePanic();
  };

  const serve = (wants: PendingWant[], picks: (string | null)[]) => {
    wants.forEach((want, i) => {
      const backend = picks[i] ?? null;
      const { done } = want;
      want.done = null;
      if (backend === null) {
        done?.(null);
        return;
      }
      const pick = done ? pickOf(backend, "scheduler") : null;
      if (!pick) {
        row.doubt(backend); // counted for us, but served otherwise or not known here: the next statement says so
        done?.(pickAlone(want.exclude));
        return;
      }
      row.granted(backend);
      observe.decided(name, "scheduler");
      done?.(pick);
    });
  };

  const failed = (settle: Settle, url: string, error: Error) => {
    full = true;
    refresh = true;
    observe.failed(name, error.message);
    if (stopped) return;
    waiting = settle.wants.filter((want) => want.done).concat(waiting);
    const refused = error instanceof SettleRefused;
    if (!refused) schedulers.avoid(url);
    if (!refused && schedulers.prefer(name) !== null) {
      send();
      return;
    }
    noteTrouble(error.message);
    giveUpWaiting();
    retryLater();
  };

  const retryLater = () => {
    if (retryTimer || stopped) return;
    retryTimer = setTimeout(() => {
      retryTimer = null;
      retrying = true;
      full = true;
      kick();
    }, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };

  return {
    acquire(exclude, done) {
      if (deciding === "fallback" || stopped) {
        done(pickAlone(exclude));
        kick();
        return;
      }
      waiting.push({ exclude, done });
      kick();
    },
    hold(backend) {
      const pick = pickOf(backend, "static");
      if (!pick) return null;
      row.took(backend);
      observe.decided(name, "static");
      kick();
      return pick;
    },
    release(pick, outcome, ttfbMs) {
      row.released(pick.backend, outcome, ttfbMs);
      kick();
    },
    configure: (pool) => snapshot.configure(pool),
    beat() {
      const aloneForMs = deciding === "fallback" ? clock() - decidingSinceMs : 0;
      if (aloneForMs > LATE_FOR_LONG_MS) noteTrouble(`answers take longer than ${DECISION_TIMEOUT_MS} ms`);
      refresh = true;
      kick();
    },
    onEvent(event) {
      if (event.version <= snapshot.version) return;
      const complete = event.changes !== undefined && snapshot.apply(event.version, event.changes);
      snapshotAtMs = clock();
      notePanic();
      if (complete) return;
      refresh = true;
      kick();
    },
    view: () => ({
      pool: name,
      version: snapshot.version,
      deciding,
      held: Object.fromEntries(row.held),
      eligible: snapshot.eligible(),
    }),
    async stop() {
      stopped = true;
      clearTimeout(patience);
      if (retryTimer) clearTimeout(retryTimer);
      inFlight?.call?.abort(new Error("gateway stops"));
      serveAlone(waiting.splice(0));
      const url = schedulers.prefer(name);
      if (url === null || seq === 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, SETTLE_TIMEOUT_MS);
        const none = { held: {}, outcomes: {}, wants: [], version: snapshot.version, refresh: false };
        schedulers.settle(url, name, { gateway: gatewayId, seq: seq + 1, full: true, ...none }, () => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}
