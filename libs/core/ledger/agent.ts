// What a backend's agent asks for, and what follows for its weight and for whether it is used. Pure, and one rule for
// all: the ledger, and a gateway that has to decide by itself.
import type { Mode } from "../health/state.ts";
import { roundWeight } from "./eligibility.ts";
import { AGENT_WEIGHT_STEP, type AgentWish, type Finding, MAX_DETAIL } from "./ledger.ts";

/** Where it asks for nothing. */
export const NO_WISH: AgentWish = { weightPercent: 100, drain: false };

export const weightWished = (weight: number, wish: AgentWish | null): number =>
  wish === null || wish.weightPercent === 100 ? weight : roundWeight((weight * wish.weightPercent) / 100);

/** Active, and its agent does not ask to be left alone. */
export const isUsed = (mode: Mode, wish: AgentWish | null): boolean =>
  mode === "active" && (wish === null || (!wish.drain && wish.weightPercent > 0));

/** As the rules of eligibility are told: who asks to be left alone is draining to them. */
export const modeWished = (mode: Mode, wish: AgentWish | null): Mode =>
  mode === "active" && !isUsed(mode, wish) ? "draining" : mode;

export const isSameWish = (a: AgentWish | null, b: AgentWish | null): boolean =>
  (a ?? NO_WISH).weightPercent === (b ?? NO_WISH).weightPercent &&
  (a ?? NO_WISH).drain === (b ?? NO_WISH).drain;

/** A little weight is not none: only 0 rounds to 0. */
function stepped(percent: number): number {
  if (!Number.isFinite(percent)) return NO_WISH.weightPercent;
  if (percent <= 0) return 0;
  const steps = Math.max(1, Math.round(percent / AGENT_WEIGHT_STEP));
  return Math.min(100, steps * AGENT_WEIGHT_STEP);
}

/** As the ledger takes it: bounded, in steps, whole numbers, text that any decoder takes. */
export function tidied({ detail, dueMs, agent, ...rest }: Finding): Finding {
  return {
    ...rest,
    ...(detail ? { detail: detail.slice(0, MAX_DETAIL).toWellFormed() } : undefined),
    ...(dueMs === undefined ? undefined : { dueMs: Math.floor(dueMs) }),
    ...(agent && { agent: { weightPercent: stepped(agent.weightPercent), drain: agent.drain } }),
  };
}
