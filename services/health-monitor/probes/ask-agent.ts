// Asks a backend's agent how loaded the backend is, and what it wants: one GET, answered with status 200 and a JSON
// object, name → number. Whatever else comes, or does not come in time, is a fault of the agent and says nothing of the
// backend.
import type { BackendTls } from "@evenkeel/core/config/resolve-resilience.ts";
import type { Agent } from "@evenkeel/core/config/resolve-scheduling.ts";
import { type AgentWish, METRIC_VALUE_MAX } from "@evenkeel/core/ledger/ledger.ts";
import { type Done, reasonOf } from "./attempt.ts";
import { exchange, requestOf, targetOf } from "./exchange.ts";
import { HttpAnswer } from "./http-answer.ts";

export type { Agent } from "@evenkeel/core/config/resolve-scheduling.ts";

const BODY_MAX_BYTES = 64 * 1024;
const WHOLE_WEIGHT_PERCENT = 100;

export interface AgentReport {
  /** Of those that were asked for, the ones that are sound. */
  metrics: Record<string, number>;
  /** Null: it was not asked for any, or said nothing sound of it. */
  wish: AgentWish | null;
  /** The first thing that was wrong, short and bounded, for a log line; null when nothing was. */
  fault: string | null;
}

export type Ask = (timeoutMs: number) => Promise<AgentReport>;

const faulty = (fault: string): AgentReport => ({ metrics: {}, wish: null, fault });

/** One backend's agent, made ready once. Never rejects. */
export function prepareAgent(url: string, agent: Agent, tls: BackendTls | null): Ask {
  try {
    return askerOf(url, agent, tls);
  } catch (error) {
    const fault = reasonOf(error as Error);
    return async () => faulty(fault);
  }
}

function askerOf(url: string, agent: Agent, tls: BackendTls | null): Ask {
  const target = targetOf(url, agent.port, tls);
  const request = requestOf(target, { method: "GET", path: agent.path, accept: "application/json" });
  return async (timeoutMs) => {
    const answer = new HttpAnswer(BODY_MAX_BYTES + 1, false);
    const { ok, reason } = await exchange(target, request, timeoutMs, answer, judge);
    return ok ? readReport(Buffer.from(answer.body, "latin1").toString(), agent) : faulty(reason);
  };
}

function judge({ status, body, over }: HttpAnswer, done: Done): void {
  if (status === 0) return;
  if (status !== 200) done(false, `status ${status}`);
  else if (body.length > BODY_MAX_BYTES) done(false, `more than ${BODY_MAX_BYTES} bytes`);
  else if (over) done(true, "answered");
}

function readReport(text: string, agent: Agent): AgentReport {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return faulty("not JSON");
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer))
    return faulty("not a JSON object");
  const values = new Map<string, unknown>(Object.entries(answer));
  const sound = agent.metrics.flatMap((name) => {
    const value = values.get(name);
    return isMetric(value) ? [[name, value] as const] : [];
  });
  const weight = agent.weight === null ? WHOLE_WEIGHT_PERCENT : values.get(agent.weight);
  const drain = agent.drain === null ? 0 : values.get(agent.drain);
  return {
    metrics: Object.fromEntries(sound),
    wish: wishOf(agent, weight, drain),
    fault: faultOf(agent, values, weight),
  };
}

/** Half a wish is one: a drain counts also where the weight is not sound. */
function wishOf(agent: Agent, weight: unknown, drain: unknown): AgentWish | null {
  const told = [agent.weight !== null && isPercent(weight), agent.drain !== null && isMetric(drain)];
  if (!told.includes(true)) return null;
  return {
    weightPercent: isPercent(weight) ? weight : WHOLE_WEIGHT_PERCENT,
    drain: isMetric(drain) && drain !== 0,
  };
}

function faultOf(agent: Agent, values: Map<string, unknown>, weight: unknown): string | null {
  const wanted = [
    ...agent.metrics,
    ...(agent.weight ? [agent.weight] : []),
    ...(agent.drain ? [agent.drain] : []),
  ];
  const missing = wanted.find((name) => !isMetric(values.get(name)));
  if (missing !== undefined) return `no number for ${missing}`;
  return isPercent(weight) ? null : `${agent.weight} is not from 0 to ${WHOLE_WEIGHT_PERCENT}`;
}

const isMetric = (value: unknown): value is number =>
  typeof value === "number" && Math.abs(value) <= METRIC_VALUE_MAX;

const isPercent = (value: unknown): value is number =>
  isMetric(value) && value >= 0 && value <= WHOLE_WEIGHT_PERCENT;
