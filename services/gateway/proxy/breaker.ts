// Breakers: what this gateway alone has found out about connecting to a backend, at once and without asking anybody. The
// health that all gateways share needs a settle and an event to come round; until then, and while no scheduler answers, an
// attempt at a backend that is known to fail would only cost its client time. Pure: the clock comes in, nothing is timed.
import type { Fault } from "../messages/outgoing.ts";

export interface BreakerSettings {
  /** Attempts in a row that found no connection. */
  failures: number;
  /** Over which the part of failed attempts is reckoned. */
  windowMs: number;
  /** Without any attempt, before a single one is made to see whether it is over. */
  openMs: number;
}

/** Slices of the window; one is dropped at a time. */
const SLICES = 10;
/** Attempts in the window below which their part says nothing. */
const ATTEMPTS_MIN = 20;
/** Percent of failed attempts in the window that opens a breaker. */
const FAILED_PERCENT = 50;
/**
 * Percent of a pool's backends whose breakers may be open for failed answers. More of them speak for a cause that another
 * backend does not change, such as a request that all of them fail at. Not for failed connects: there is nothing to try.
 */
const OPEN_PERCENT_MAX = 50;

/** In place of a ticket: no attempt may be made. It counts as failed before anything was sent. */
export const REFUSED = 0;

export type BreakerState = "closed" | "open" | "half-open";

/** What became of an attempt, as far as it says something of its backend. */
export type Attempted = "connected" | "failed" | "unconnected" | "unknown";

const UNCONNECTED: ReadonlySet<Fault> = new Set<Fault>([
  "refused",
  "unresolved",
  "unreachable",
  "connect-timeout",
  "tls",
]);
const FAILED: ReadonlySet<Fault> = new Set<Fault>(["broken", "headers-timeout", "invalid-answer"]);

export const attemptedBy = (fault: Fault): Attempted =>
  UNCONNECTED.has(fault) ? "unconnected" : FAILED.has(fault) ? "failed" : "unknown";

export interface Breaker {
  readonly state: BreakerState;
  /**
   * Before each attempt: a ticket, to be given back once with what became of it, or `REFUSED`. While half open only one
   * attempt is let through at a time.
   */
  admit(): number;
  /** What attempts of an earlier state say comes too late to count. */
  ended(ticket: number, attempted: Attempted): void;
}

export interface BreakerOptions {
  settings: BreakerSettings;
  /** ms, monotonic */
  clock: () => number;
  /** Whether one more may be open for failed answers. */
  mayOpen: () => boolean;
  onChange: (from: BreakerState, to: BreakerState) => void;
}

export function createBreaker({ settings, clock, mayOpen, onChange }: BreakerOptions): Breaker {
  const window = createWindow(settings.windowMs);
  let state: BreakerState = "closed";
  /** Of the present state; a ticket is the number of the state that it was given in. */
  let number = 1;
  let inRow = 0;
  let openUntilMs = 0;
  let probing = false;

  const enter = (next: BreakerState): void => {
    const from = state;
    state = next;
    number += 1;
    inRow = 0;
    probing = false;
    window.clear();
    if (next === "open") openUntilMs = clock() + settings.openMs;
    onChange(from, next);
  };

  const noteClosed = (attempted: Attempted): void => {
    const nowMs = clock();
    window.add(nowMs, attempted !== "connected");
    inRow = attempted === "unconnected" ? inRow + 1 : 0;
    if (inRow >= settings.failures) enter("open");
    else if (attempted === "failed" && window.failing() && mayOpen()) enter("open");
  };

  return {
    get state() {
      return state;
    },
    admit() {
      if (state === "closed") return number;
      if (state === "open") {
        if (clock() < openUntilMs) return REFUSED;
        enter("half-open");
      }
      if (probing) return REFUSED;
      probing = true;
      return number;
    },
    ended(ticket, attempted) {
      if (ticket !== number) return;
      if (state === "closed") {
        if (attempted !== "unknown") noteClosed(attempted);
      } else if (attempted === "unknown") {
        probing = false;
      } else {
        enter(attempted === "connected" ? "closed" : "open");
      }
    },
  };
}

interface Window {
  add(nowMs: number, failed: boolean): void;
  /** Whether enough of the attempts in it have failed. */
  failing(): boolean;
  clear(): void;
}

/** Counts per slice of time, in a ring. */
function createWindow(windowMs: number): Window {
  const sliceMs = windowMs / SLICES;
  const attempts = new Uint32Array(SLICES);
  const failures = new Uint32Array(SLICES);
  let newest = 0;
  let [sum, failed] = [0, 0];

  const drop = (slice: number): void => {
    sum -= attempts[slice] as number;
    failed -= failures[slice] as number;
    attempts[slice] = 0;
    failures[slice] = 0;
  };

  const clear = (): void => {
    attempts.fill(0);
    failures.fill(0);
    [sum, failed] = [0, 0];
  };

  return {
    add(nowMs, hasFailed) {
      const slice = Math.floor(nowMs / sliceMs);
      if (slice - newest >= SLICES) clear();
      else for (let old = newest + 1; old <= slice; old += 1) drop(old % SLICES);
      newest = Math.max(newest, slice);
      const at = newest % SLICES;
      attempts[at] = (attempts[at] as number) + 1;
      sum += 1;
      if (!hasFailed) return;
      failures[at] = (failures[at] as number) + 1;
      failed += 1;
    },
    failing: () => sum >= ATTEMPTS_MIN && failed * 100 >= sum * FAILED_PERCENT,
    clear,
  };
}

/** The breakers of one pool. */
export interface Breakers {
  /** Of a backend of the pool; null for any other, which is never held back. */
  of(backend: string): Breaker | null;
  /** The pool's backends from now on; those that stay at their address keep what is known of them. */
  configure(backends: readonly { id: string; url: string }[]): void;
  /** How many let no request through, or one at a time. */
  readonly open: number;
}

export interface BreakersOptions {
  settings: BreakerSettings;
  /** ms, monotonic */
  clock: () => number;
  onChange: (backend: string, state: BreakerState) => void;
}

export function createBreakers({ settings, clock, onChange }: BreakersOptions): Breakers {
  let members = new Map<string, { url: string; breaker: Breaker }>();
  let open = 0;

  const make = (id: string): Breaker => {
    const breaker: Breaker = createBreaker({
      settings,
      clock,
      mayOpen: () => (open + 1) * 100 <= members.size * OPEN_PERCENT_MAX,
      onChange(from, to) {
        // One that the configuration has dropped may still end its last attempts.
        if (members.get(id)?.breaker !== breaker) return;
        open += (to === "closed" ? 0 : 1) - (from === "closed" ? 0 : 1);
        onChange(id, to);
      },
    });
    return breaker;
  };

  return {
    get open() {
      return open;
    },
    of: (backend) => members.get(backend)?.breaker ?? null,
    configure(backends) {
      const next: typeof members = new Map();
      open = 0;
      for (const { id, url } of backends) {
        const known = members.get(id);
        const breaker = known?.url === url ? known.breaker : make(id);
        next.set(id, { url, breaker });
        if (breaker.state !== "closed") open += 1;
      }
      members = next;
    },
  };
}
