// Rise and fall, as one pure state machine: what was found out about a backend, by probes, by traffic and by time.
// The ledger applies it atomically for the whole cluster; the operator's wish (mode) is kept apart from it.
import { countedIn, type FailureWindow, isTooMuch, share, type WindowParameters } from "./window.ts";

export type Health = "healthy" | "unhealthy";
export type Mode = "active" | "draining" | "disabled";

/** Why a backend has the health it has. `probation`: it returned unproven, one failure sends it out again. */
export type HealthReason = "initial" | "probe" | "traffic" | "probation";

export interface HealthState {
  health: Health;
  reason: HealthReason;
  /** When `health` last changed, ms since the epoch by Redis's clock. */
  sinceMs: number;
  /** Probes in a row that speak against the present health; while unhealthy at most `rise`. */
  streak: number;
  /** Traffic failures in a row, over all gateways; only counts while healthy. */
  strikes: number;
  /** While unhealthy: when it may return unproven unless a failure is seen before. 0 while healthy. */
  untilMs: number;
  /** While unhealthy: before this good probes do not bring it back. 0: they may at any time. */
  returnsMs: number;
  /** How often it left lately; one is forgiven for each `holdMs` spent healthy, when it leaves again. */
  ejections: number;
  /** What was seen last by a probe, or why traffic took it out; null: nothing worth a word. */
  detail: string | null;
}

export interface HealthParameters extends WindowParameters {
  rise: number;
  /** Failed probes in a row to leave. */
  fall: number;
  /** Failures of requests in a row to leave. */
  failures: number;
  /** How long one failure keeps an unhealthy backend out, ms. */
  holdMs: number;
  /** However often it left, it is not kept out longer than this by one departure; at least `holdMs`. */
  maxHoldMs: number;
}

/** What became of requests to one backend, reported together. */
export interface Traffic {
  success: number;
  failure: number;
  /** Failures after the last success among these. */
  failuresInRow: number;
}

export function initialHealth(health: Health, { holdMs }: HealthParameters, nowMs: number): HealthState {
  return {
    ...entered(health, "initial", null, 0, nowMs),
    untilMs: health === "unhealthy" ? nowMs + holdMs : 0,
  };
}

/** A good probe of a backend that nothing speaks against changes nothing, also not its detail. */
export function observeProbe(
  s: HealthState,
  ok: boolean,
  detail: string | null,
  p: HealthParameters,
  nowMs: number,
): HealthState {
  if (s.health === "healthy") {
    if (ok) return s.streak === 0 ? s : { ...s, streak: 0, detail };
    return s.streak + 1 >= p.fall
      ? fallen(s, "probe", detail, p, nowMs)
      : { ...s, streak: s.streak + 1, detail };
  }
  if (ok && s.streak + 1 >= p.rise && nowMs >= s.returnsMs)
    return entered("healthy", "probe", detail, s.ejections, nowMs);
  const streak = ok ? Math.min(s.streak + 1, p.rise) : 0;
  return { ...s, streak, detail, untilMs: Math.max(s.untilMs, nowMs + p.holdMs) };
}

/**
 * @param mayLeave whether enough others are left; asked only when it would leave. Refused, the next failure asks again
 */
export function observeTraffic(
  s: HealthState,
  before: FailureWindow | null,
  traffic: Traffic,
  p: HealthParameters,
  mayLeave: () => boolean,
  nowMs: number,
): { state: HealthState; window: FailureWindow | null } {
  if (s.health === "unhealthy") {
    const untilMs = traffic.failuresInRow > 0 ? Math.max(s.untilMs, nowMs + p.holdMs) : s.untilMs;
    return { state: untilMs === s.untilMs ? s : { ...s, untilMs }, window: null };
  }
  const window = countedIn(before, traffic, p, nowMs);
  const strikes = (traffic.success > 0 ? 0 : s.strikes) + traffic.failuresInRow;
  const why = strikes >= p.failures ? inARow(strikes) : window && isTooMuch(window, p) ? share(window) : null;
  if (why !== null && mayLeave()) return { state: fallen(s, "traffic", why, p, nowMs), window: null };
  const kept = Math.min(strikes, p.failures - 1);
  return { state: kept === s.strikes ? s : { ...s, strikes: kept }, window };
}

const inARow = (strikes: number) => (strikes === 1 ? "1 failure" : `${strikes} failures in a row`);

/** An unhealthy backend nobody has seen failing for long enough returns, one failure away from leaving again. */
export function observeTime(s: HealthState, p: HealthParameters, nowMs: number): HealthState {
  if (s.health === "healthy" || nowMs < s.untilMs) return s;
  const returned = entered("healthy", "probation", null, s.ejections, nowMs);
  return { ...returned, strikes: p.failures - 1, streak: p.fall - 1 };
}

/** Whether the next findings may change its health: what speaks against it has begun to count, and they are free to. */
export const isDoubtful = (s: HealthState, nowMs: number): boolean => s.streak > 0 && nowMs >= s.returnsMs;

/** A clock that was set back must not keep it out, or unforgiven, for as long as it went back. */
export function mended(s: HealthState, p: HealthParameters, nowMs: number): HealthState {
  const sinceMs = Math.min(s.sinceMs, nowMs);
  const untilMs = Math.min(s.untilMs, nowMs + heldFor(Math.max(s.ejections, 1), p));
  const returnsMs = Math.min(s.returnsMs, nowMs + heldFor(Math.max(s.ejections - 1, 0), p));
  const same = sinceMs === s.sinceMs && untilMs === s.untilMs && returnsMs === s.returnsMs;
  return same ? s : { ...s, sinceMs, untilMs, returnsMs };
}

const heldFor = (times: number, { holdMs, maxHoldMs }: HealthParameters) =>
  Math.min(holdMs * times, maxHoldMs);

const entered = (
  health: Health,
  reason: HealthReason,
  detail: string | null,
  ejections: number,
  nowMs: number,
): HealthState => ({
  health,
  reason,
  sinceMs: nowMs,
  streak: 0,
  strikes: 0,
  untilMs: 0,
  returnsMs: 0,
  ejections,
  detail,
});

function fallen(
  s: HealthState,
  reason: HealthReason,
  detail: string | null,
  p: HealthParameters,
  nowMs: number,
): HealthState {
  const forgiven = Math.max(0, Math.floor((nowMs - s.sinceMs) / p.holdMs));
  const ejections = Math.min(Math.max(0, s.ejections - forgiven) + 1, Math.ceil(p.maxHoldMs / p.holdMs));
  return {
    ...entered("unhealthy", reason, detail, ejections, nowMs),
    untilMs: nowMs + heldFor(ejections, p),
    returnsMs: ejections === 1 ? 0 : nowMs + heldFor(ejections - 1, p),
  };
}
