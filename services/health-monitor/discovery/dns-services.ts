// The backends behind SRV records: each names a target, whose addresses come along with the answer or are asked for. A
// target that cannot be asked for keeps the addresses that it had.
import type { DnsSource } from "@evenkeel/core/config/resolve-discovery.ts";
import type { BackendDocument } from "@evenkeel/core/config/schema.ts";
import { type Addresses, addressesOf, backendsOf, negativeTtlS, servicesOf } from "./dns-answers.ts";
import { type Ask, bareName, type DnsAnswer } from "./dns-query.ts";
import { type Rejected, reasonOf, type Timers } from "./source.ts";

/** Targets whose addresses are asked for at any moment. */
const AT_ONCE = 8;
/** After it no more are asked for in one round. */
const DEADLINE_MS = 20_000;
/** A target of which nothing is certain is asked for again after this. */
const RETRY_S = 5;
/** Rounds in a row in which a target that had addresses, perhaps, may fail before the others are told without it. */
const PATIENCE = 3;

export interface FoundByDns {
  backends: BackendDocument[];
  rejected: Rejected[];
  /** Null: nobody says for how long it holds. */
  ttlS: number | null;
}

/** @param begun backends are known already, of which targets is not */
export function createServiceLookUp(begun: boolean, timers: Timers) {
  const remembered = new Map<string, readonly string[]>();
  const failures = new Map<string, number>();

  return async ({ name, scheme }: DnsSource, ask: Ask): Promise<FoundByDns> => {
    const answer = await ask({ name: bareName(name), type: "SRV" });
    const { services, ttlS } = servicesOf(answer.answers, name);
    if (services.length === 0) return { backends: [], rejected: [], ttlS: negativeTtlS(answer) };
    const targets = new Set(services.map(({ target }) => target));
    for (const known of [remembered, failures])
      for (const target of known.keys()) if (!targets.has(target)) known.delete(target);

    const rejected: Rejected[] = [];
    let unknown: string | null = null;
    let shortestS = ttlS ?? 0;
    for (const [target, outcome] of await resolveAll(targets, answer, ask, timers)) {
      if (outcome instanceof Error) {
        failures.set(target, (failures.get(target) ?? 0) + 1);
        shortestS = Math.min(shortestS, RETRY_S);
        if (remembered.has(target)) continue;
        rejected.push({ what: target, reason: outcome.message });
        if (begun && (failures.get(target) ?? 0) < PATIENCE) unknown ??= outcome.message;
      } else {
        failures.delete(target);
        remembered.set(target, outcome.addresses);
        shortestS = Math.min(shortestS, outcome.ttlS ?? RETRY_S);
        if (outcome.addresses.length === 0) rejected.push({ what: target, reason: "has no address" });
      }
    }
    if (unknown !== null) throw new Error(unknown);
    const backends = backendsOf(services, (target) => remembered.get(target) ?? [], scheme);
    if (backends.length === 0 && failures.size > 0)
      throw new Error(rejected[0]?.reason ?? "no target could be asked for");
    return { backends, rejected, ttlS: shortestS };
  };
}

async function resolveAll(targets: ReadonlySet<string>, answer: DnsAnswer, ask: Ask, timers: Timers) {
  const endMs = timers.nowMs() + DEADLINE_MS;
  const outcomes = new Map<string, Addresses | Error>();
  const waiting = targets.values();
  const worker = async () => {
    for (const target of waiting) {
      if (timers.nowMs() > endMs)
        outcomes.set(target, new Error(`${target}: no time was left to ask for it`));
      else
        outcomes.set(
          target,
          await resolveTarget(target, answer, ask).catch((error) => new Error(reasonOf(error))),
        );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return outcomes;
}

/** IPv6 only for a target that has no IPv4: with both it would be two backends. */
async function resolveTarget(target: string, { additionals }: DnsAnswer, ask: Ask): Promise<Addresses> {
  for (const type of ["A", "AAAA"] as const) {
    const given = addressesOf(additionals, target, type);
    if (given.addresses.length > 0) return given;
  }
  const four = await ask({ name: target, type: "A" });
  const found = addressesOf(four.answers, target, "A");
  if (found.addresses.length > 0) return found;
  const six = await ask({ name: target, type: "AAAA" });
  const last = addressesOf(six.answers, target, "AAAA");
  return last.addresses.length > 0 ? last : { addresses: [], ttlS: negativeTtlS(six) };
}
