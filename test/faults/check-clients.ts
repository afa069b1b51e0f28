// What clients got: a request may fail only where something that was broken at that time explains it.
import type { Allowance, Facts, RequestFact } from "./facts.ts";
import { BUDGET_FAILURES_MAX } from "./settings.ts";
import { overlap, SKEW_MS, type Span, wasSound } from "./soundness.ts";

const spanOf = ({ startedMs, endedMs }: RequestFact): Span => ({
  fromMs: startedMs - SKEW_MS,
  untilMs: endedMs + SKEW_MS,
});

const faulted = ({ faults }: Facts, target: string | null, span: Span, kinds?: readonly string[]): boolean =>
  faults.some(
    (fault) =>
      fault.target === target && overlap(fault, span) && (kinds === undefined || kinds.includes(fault.kind)),
  );

/** That a gateway has lost Redis is no reason to fail. */
const GATEWAY_GONE = ["kill", "freeze"];

/** Why it may have failed; null: there is no reason. */
function allowanceOf(request: RequestFact, facts: Facts): Allowance | null {
  const span = spanOf(request);
  if (faulted(facts, request.gateway, span, GATEWAY_GONE)) return "gateway gone";
  // One that stops in order answers what it took, but may close a connection on which the next request is on its way.
  if (request.status === 0 && faulted(facts, request.gateway, span, ["restart"])) return "gateway gone";
  if (!facts.backends.some((backend) => wasSound(backend, span, facts.faults))) return "no sound backend";
  const byBackend = faulted(facts, request.backend, span);
  if (byBackend && request.method === "POST") return "POST sent";
  if (byBackend && request.status === 0) return "answer broken off";
  return null;
}

function judged(facts: Facts): { request: RequestFact; allowance: Allowance | null }[] {
  const failed = facts.requests.filter(({ status }) => status !== 200);
  let budget = Math.min(facts.budgetExhausted, BUDGET_FAILURES_MAX);
  return failed.map((request) => {
    const allowance = allowanceOf(request, facts);
    if (allowance !== null || request.method !== "GET" || request.status < 500 || budget === 0)
      return { request, allowance };
    budget -= 1;
    return { request, allowance: "budget" };
  });
}

export function checkClients(facts: Facts): string[] {
  if (facts.requests.length === 0) return ["none was asked"];
  return judged(facts)
    .filter(({ allowance }) => allowance === null)
    .map(
      ({ request: { id, method, gateway, backend, status, trouble, startedMs, endedMs } }) =>
        `${method} ${id} at ${gateway} (${backend ?? "no backend"}) from ${startedMs} for ${endedMs - startedMs} ms: ${status} ${trouble ?? ""}`,
    );
}

export function allowancesOf(facts: Facts): Partial<Record<Allowance, number>> {
  const counts: Partial<Record<Allowance, number>> = {};
  for (const { allowance } of judged(facts))
    if (allowance !== null) counts[allowance] = (counts[allowance] ?? 0) + 1;
  return counts;
}
