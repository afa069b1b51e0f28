// Rise and fall, as one pure state machine: what was found out about a backend, by probes and by traffic.
// The ledger applies it atomically for the whole cluster; the operator's wish (mode) is kept apart from it.

export type Health = "healthy" | "unhealthy";
export type Mode = "active" | "draining" | "disabled";

/** Why a backend has the health it has. `probation`: it returned unproven, one failure sends it out again. */
export type HealthReason = "initial" | "probe" | "traffic" | "probation";

export interface HealthState {
  health: Health;
  reason: HealthReason;
  /** When `health` last changed, ms since the epoch by Redis's clock. */
  sinceMs: number;
  /** Probes in a row that speak against the present health. */
  streak: number;
  /** Traffic failures in a row, over all gateways; only counts while healthy. */
  strikes: number;
  /** While unhealthy: when it may return unproven unless a failure is seen before. 0 while healthy. */
  untilMs: number;
}

export interface HealthParameters {
  rise: number;
  fall: number;
  /** How long one failure keeps an unhealthy backend out, ms. */
  holdMs: number;
}

export const initialHealth = (nowMs: number): HealthState => ({
  health: "healthy",
  reason: "initial",
  sinceMs: nowMs,
  streak: 0,
  strikes: 0,
  untilMs: 0,
});

export function observeProbe(s: HealthState, ok: boolean, p: HealthParameters, nowMs: number): HealthState {
  if (s.health === "healthy") {
    if (ok) return s.streak === 0 ? s : { ...s, streak: 0 };
    return s.streak + 1 >= p.fall ? fallen("probe", p, nowMs) : { ...s, streak: s.streak + 1 };
  }
  if (!ok) return { ...s, streak: 0, untilMs: nowMs + p.holdMs };
  return s.streak + 1 >= p.rise
    ? { ...initialHealth(nowMs), reason: "probe" }
    : { ...s, streak: s.streak + 1, untilMs: nowMs + p.holdMs };
}

/**
 * @param failuresInRow failures since the last success among the outcomes reported together
 * @param succeeded whether there was a success among them
 */
export function observeTraffic(
  s: HealthState,
  failuresInRow: number,
  succeeded: boolean,
  p: HealthParameters,
  nowMs: number,
): HealthState {
  if (s.health === "unhealthy") {
    return failuresInRow > 0 ? { ...s, untilMs: Math.max(s.untilMs, nowMs + p.holdMs) } : s;
  }
  const strikes = (succeeded ? 0 : s.strikes) + failuresInRow;
  if (strikes >= p.fall) return fallen("traffic", p, nowMs);
  return strikes === s.strikes ? s : { ...s, strikes };
}

/** An unhealthy backend nobody has seen failing for `holdMs` returns, one failure away from leaving again. */
export function observeTime(s: HealthState, p: HealthParameters, nowMs: number): HealthState {
  if (s.health === "healthy" || nowMs < s.untilMs) return s;
  return { ...initialHealth(nowMs), reason: "probation", strikes: p.fall - 1, streak: p.fall - 1 };
}

const fallen = (reason: HealthReason, p: HealthParameters, nowMs: number): HealthState => ({
  health: "unhealthy",
  reason,
  sinceMs: nowMs,
  streak: 0,
  strikes: 0,
  untilMs: nowMs + p.holdMs,
});
