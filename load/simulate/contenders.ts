// Who is compared. A policy of the ledger with its parameters is one line here.
import type { Contender } from "./engine.ts";
import { type PoolParameters, REAL_HOP, type SharedCountOptions } from "./shared-count.ts";

const shared = (
  name: string,
  pool: PoolParameters,
  weights: "true" | "equal",
  more: Partial<SharedCountOptions> = {},
): Contender => ({ name, by: "shared-count", pool, weights, ...more });

export const CENTRAL_QUEUE: Contender = { name: "one central queue (the bound)", by: "central-queue" };

/** Weights as the backends' speeds are. */
export const WEIGHTED = {
  leastConnections: shared("shared least-connections, true weights", { policy: "least-connections" }, "true"),
  slotsTold: shared(
    "shared least-connections, true weights and slots",
    { policy: "least-connections" },
    "true",
    { tellsSlots: true },
  ),
  replicaLeastConnections: {
    name: "per replica: least-connections, true weights",
    by: "per-replica",
    rule: "least-connections",
    weights: "true",
  },
  replicaTwoChoices: {
    name: "per replica: two choices, true weights",
    by: "per-replica",
    rule: "two-choices",
    weights: "true",
  },
  replicaRoundRobin: {
    name: "per replica: round robin, true weights",
    by: "per-replica",
    rule: "round-robin",
    weights: "true",
  },
} as const satisfies Record<string, Contender>;

/** Nobody knows who is faster: every weight is 1. */
export const UNWEIGHTED = {
  leastTime: shared("shared least-time, no weights", { policy: "least-time" }, "equal"),
  leastConnections: shared("shared least-connections, no weights", { policy: "least-connections" }, "equal"),
  replicaLeastConnections: {
    name: "per replica: least-connections, no weights",
    by: "per-replica",
    rule: "least-connections",
    weights: "equal",
  },
  replicaTwoChoices: {
    name: "per replica: two choices, no weights",
    by: "per-replica",
    rule: "two-choices",
    weights: "equal",
  },
  replicaRoundRobin: {
    name: "per replica: round robin, no weights",
    by: "per-replica",
    rule: "round-robin",
    weights: "equal",
  },
} as const satisfies Record<string, Contender>;

/** Other policies of the ledger. */
export const POLICIES: readonly Contender[] = [
  shared("shared least-time, slots told, no weights", { policy: "least-time" }, "equal", {
    tellsSlots: true,
  }),
  shared("shared least-time, true weights", { policy: "least-time" }, "true"),
  shared("shared two-choices, true weights", { policy: "two-choices" }, "true"),
  shared("shared round-robin, true weights", { policy: "round-robin" }, "true"),
  shared("shared random, true weights", { policy: "random" }, "true"),
];

/** For a cold join. */
export const JOINING: readonly Contender[] = [
  shared("shared least-connections, slow start of 30 s", { slowStart: { windowMs: 30_000 } }, "equal"),
  shared("shared least-connections, no slow start", { slowStart: { windowMs: 0 } }, "equal"),
  UNWEIGHTED.replicaLeastConnections,
  UNWEIGHTED.replicaTwoChoices,
];

/** Shared least-connections over a hop of which each way takes so long. */
export const overHop = (name: string, legMs: number): Contender =>
  shared(name, { policy: "least-connections" }, "true", {
    hop: { toSchedulerMs: legMs, ledgerCallMs: REAL_HOP.ledgerCallMs, toGatewayMs: legMs },
  });
