// One sequence: traffic, faults, everything whole again, and then a look at all that must be as before.
import { setTimeout as sleep } from "node:timers/promises";
import type { Rows } from "@evenkeel/core/ledger/ledger.ts";
import type { Cluster } from "./cluster.ts";
import type { Facts, GatewayView } from "./facts.ts";
import { inflict } from "./inflict.ts";
import { lookAtBudgets, lookAtGateways, lookAtPool } from "./look.ts";
import { planFaults } from "./plan.ts";
import { AFTERWARDS, COUNTS_BOUND_MS, RETURN_BOUND_MS } from "./settings.ts";
import { askInARow, startTraffic } from "./traffic.ts";

const LOOK_INTERVAL_MS = 100;
const TICK_MS = 10;
/** A timer that is later than this by itself means that processes on this machine wait for a processor. */
const STALL_MS = 100;
/** A gateway hears of the last change by event or with its next heartbeat. */
const VIEWS_BOUND_MS = 2_000;

export async function runSequence(cluster: Cluster, seed: number): Promise<Facts> {
  const { watch, follower, executions, deaths } = cluster;
  watch.begin();
  executions.length = 0;
  const budgets = await lookAtBudgets(cluster);
  const stalls = watchStalls();
  const traffic = startTraffic(cluster.gateways, String(seed));
  const faults = await Promise.all(planFaults(seed).map((planned) => inflict(cluster, planned)));
  const healedMs = Date.now();
  const returned = await within(RETURN_BOUND_MS, () => notReturned(cluster, healedMs));
  const requests = await traffic.stop();
  // Alone: a backend that others keep busy would rightly be picked by nobody meanwhile.
  const afterwards = await askInARow(cluster.gateways, String(seed), AFTERWARDS);
  const zero = await within(COUNTS_BOUND_MS, () => notZero(cluster));
  const end = await atTheEnd(cluster);
  return {
    backends: [...cluster.backends.keys()],
    gateways: cluster.gateways.map(({ id }) => id),
    ...{ faults, healedMs, requests, afterwards },
    executions: [...executions],
    returnedAfterMs: returned.afterMs,
    lacking: returned.lacking,
    negative: watch.negative(),
    zeroAfterMs: zero.afterMs,
    ...end,
    lives: watch.lives(),
    followed: { seen: follower.seen(), logged: watch.logged() },
    budgetExhausted: increase(budgets, await lookAtBudgets(cluster)),
    deaths: [...deaths],
    stalls: stalls.end(),
  };
}

/** Looks until nothing is lacking. */
async function within(
  boundMs: number,
  look: () => Promise<string[]>,
): Promise<{ afterMs: number | null; lacking: string[] }> {
  const startedMs = Date.now();
  for (;;) {
    const lacking = await look().catch((error: Error) => [error.message]);
    const afterMs = Date.now() - startedMs;
    if (lacking.length === 0) return { afterMs, lacking };
    if (afterMs >= boundMs) return { afterMs: null, lacking };
    await sleep(LOOK_INTERVAL_MS);
  }
}

async function notReturned(cluster: Cluster, healedMs: number): Promise<string[]> {
  const [pools, views] = await Promise.all([lookAtPool(cluster), lookAtGateways(cluster)]);
  const out = pools
    .flatMap(({ backends }) => backends)
    .filter(({ ready }) => !ready)
    .map(
      ({ id, health, reason, detail, returnsMs }) =>
        `${id} is ${health} (${reason}: ${detail}), returns at ${returnsMs}`,
    );
  const unprobed = pools
    .flatMap(({ backends }) => backends)
    .filter(({ probedMs }) => (probedMs ?? 0) < healedMs)
    .map(({ id, probedMs }) => `${id} was probed last at ${probedMs}`);
  const unused = views.flatMap(({ gateway, deciding, eligible }) => [
    ...(deciding === "scheduler" ? [] : [`${gateway} decides by itself`]),
    ...[...cluster.backends.keys()]
      .filter((id) => !eligible.includes(id))
      .map((id) => `${gateway} leaves ${id} out`),
  ]);
  return [...new Set([...out, ...unprobed, ...unused])];
}

async function notZero(cluster: Cluster): Promise<string[]> {
  const pools = await lookAtPool(cluster);
  const counted = pools.flatMap(({ backends }) => backends).filter(({ inflight }) => inflight !== 0);
  const held = pools.flatMap(({ rows = {} }) => heldIn(rows));
  return [...counted.map(({ id, inflight }) => `${id}: ${inflight}`), ...held];
}

const heldIn = (rows: Rows): string[] =>
  Object.entries(rows).flatMap(([gateway, row]) =>
    Object.entries(row).flatMap(([backend, count]) =>
      count === 0 ? [] : [`${gateway} on ${backend}: ${count}`],
    ),
  );

/** State, views and log of one moment, if the pool comes to rest. */
async function atTheEnd(cluster: Cluster): Promise<Pick<Facts, "state" | "rows" | "views">> {
  let state: Facts["state"] = null;
  let rows: Rows = {};
  let views: GatewayView[] = [];
  await within(VIEWS_BOUND_MS, async () => {
    const [before] = await lookAtPool(cluster);
    await cluster.watch.catchUp();
    views = await lookAtGateways(cluster);
    const [after] = await lookAtPool(cluster);
    state = after ?? null;
    rows = after?.rows ?? {};
    const moving = before?.version !== after?.version;
    // On a busy machine a settle may be late at any time: then a gateway decides by itself until the next.
    const behind = views.filter(
      ({ version, deciding }) => version !== after?.version || deciding !== "scheduler",
    );
    const last = cluster.watch.logged().at(-1)?.ids.at(-1);
    const told = last === undefined || cluster.follower.seen().includes(last);
    return moving || behind.length > 0 || !told ? ["the pool is not at rest"] : [];
  });
  return { state, rows, views };
}

function increase(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let sum = 0;
  // One that was started again counts from zero.
  for (const [gateway, count] of after)
    sum += count >= (before.get(gateway) ?? 0) ? count - (before.get(gateway) ?? 0) : count;
  return sum;
}

function watchStalls(): { end(): Facts["stalls"] } {
  const stalls: Facts["stalls"] = [];
  let lastMs = Date.now();
  const timer = setInterval(() => {
    const nowMs = Date.now();
    if (nowMs - lastMs > STALL_MS) stalls.push({ fromMs: lastMs, untilMs: nowMs });
    lastMs = nowMs;
  }, TICK_MS);
  return {
    end() {
      clearInterval(timer);
      return stalls;
    },
  };
}
