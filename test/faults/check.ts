// The checker: what must hold of every sequence of faults, as pure rules over what was recorded.
import { allowancesOf, checkClients } from "./check-clients.ts";
import { checkCauses, checkFollower, checkFound, checkLog } from "./check-log.ts";
import type { Allowance, Facts, Violation } from "./facts.ts";

type Rule = (facts: Facts) => string[];

export const RULES: Record<string, Rule> = {
  "no process dies of another's fault": ({ deaths }) => deaths,
  "no transition is lost": checkLog,
  "a follower of the API sees every event once": checkFollower,
  "no backend is found unhealthy without a cause": checkCauses,
  "no backend that is broken stays in": checkFound,
  "all gateways know what the ledger knows": checkViews,
  "no backend is left out for good": checkReturn,
  "no count is wrong": checkCounts,
  "no request fails that need not": checkClients,
  "no POST is carried out twice": checkExecutions,
  "afterwards every request succeeds": checkAfterwards,
};

export const check = (facts: Facts): Violation[] =>
  Object.entries(RULES).flatMap(([rule, violated]) => violated(facts).map((what) => ({ rule, what })));

/** How often what was allowed happened. */
export const allowances = (facts: Facts): Partial<Record<Allowance, number>> => allowancesOf(facts);

function checkViews({ state, views, backends, gateways }: Facts): string[] {
  if (state === null) return ["no scheduler could tell the state of the pool"];
  const expected = backends.toSorted().join(", ");
  const known = new Set(views.map(({ gateway }) => gateway));
  return [
    ...gateways.filter((gateway) => !known.has(gateway)).map((gateway) => `${gateway} told nothing`),
    ...views.flatMap(({ gateway, version, deciding, eligible }) => {
      const picks = eligible.toSorted().join(", ");
      if (deciding !== "scheduler") return [`${gateway} still decides by itself`];
      if (picks !== expected) return [`${gateway} picks from ${picks || "none"}`];
      return version === state.version ? [] : [`${gateway} knows version ${version} of ${state.version}`];
    }),
  ];
}

function checkReturn(facts: Facts): string[] {
  const { returnedAfterMs, lacking, afterwards, gateways, backends, state, healedMs } = facts;
  if (returnedAfterMs === null) return lacking.length > 0 ? lacking : ["not all returned in time"];
  const pairs = new Set(afterwards.map(({ gateway, backend }) => `${gateway} → ${backend}`));
  const unpicked = gateways.flatMap((gateway) =>
    backends
      .filter((backend) => !pairs.has(`${gateway} → ${backend}`))
      .map((b) => `${gateway} never picks ${b}`),
  );
  const unprobed = (state?.backends ?? [])
    .filter(({ probedMs }) => probedMs === null || probedMs < healedMs)
    .map(({ id }) => `${id} was not probed since all is whole`);
  const unready = (state?.backends ?? []).filter(({ ready }) => !ready).map(({ id }) => `${id} is not ready`);
  return [...unpicked, ...unprobed, ...unready];
}

function checkCounts({ negative, zeroAfterMs, state, rows }: Facts): string[] {
  const counted = (state?.backends ?? [])
    .filter(({ inflight }) => inflight !== 0)
    .map(({ id, inflight }) => `${id} has ${inflight} in flight after all was answered`);
  const held = Object.entries(rows).flatMap(([gateway, row]) =>
    Object.entries(row)
      .filter(([, count]) => count !== 0)
      .map(([backend, count]) => `the row of ${gateway} still has ${count} on ${backend}`),
  );
  const late = zeroAfterMs === null ? ["the counts did not come to zero in time"] : [];
  return [...negative.map((seen) => `a count below zero: ${seen}`), ...late, ...counted, ...held];
}

function checkExecutions({ executions }: Facts): string[] {
  const byId = Map.groupBy(executions, ({ id }) => id);
  return [...byId]
    .filter(([, all]) => all.length > 1)
    .map(([id, all]) => `POST ${id} was carried out by ${all.map(({ backend }) => backend).join(" and ")}`);
}

function checkAfterwards({ afterwards }: Facts): string[] {
  if (afterwards.length === 0) return ["none was asked"];
  return afterwards
    .filter(({ status }) => status !== 200)
    .map(({ id, gateway, status, trouble }) => `${id} at ${gateway}: ${status} ${trouble ?? ""}`);
}
