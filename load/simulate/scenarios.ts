// What is compared: each scenario is a fleet, loads, numbers of gateways and contenders; a row of its table is one cell.
import type { Cell } from "./cell.ts";
import { type Demand, meanDemandMs } from "./chance.ts";
import { CENTRAL_QUEUE, JOINING, overHop, POLICIES, UNWEIGHTED, WEIGHTED } from "./contenders.ts";
import { arrivalsAt, type Contender, type Scene } from "./engine.ts";
import type { BackendSpec } from "./fleet.ts";

export interface Row {
  /** Rows of one group are compared with the bound of that group. */
  group: string;
  /** Null where there are none: the central queue. */
  gateways: number | null;
  cell: Cell;
}

export interface Scenario {
  name: string;
  title: string;
  about: string;
  rows: Row[];
}

/** How often each cell is run, and how many requests are measured in each run. */
export interface Effort {
  seeds: readonly number[];
  requests: number;
  /** Before anything is measured, in mean demands of a request. */
  warmupDemands: number;
}

export const FULL: Effort = { seeds: [1, 2, 3], requests: 45_000, warmupDemands: 80 };
export const QUICK: Effort = { seeds: [1], requests: 5_000, warmupDemands: 40 };

const EXPONENTIAL: Demand = { kind: "exponential", meanMs: 50 };

const times = (n: number, spec: BackendSpec): BackendSpec[] => Array.from({ length: n }, () => spec);

const FAST: BackendSpec = { slots: 4, speed: 1 };
/** A quarter of them two times slower. */
const MIXED = [...times(30, FAST), ...times(10, { slots: 4, speed: 1 / 2 })];
/** Two of them sixteen times slower. */
const LAME = [...times(14, FAST), ...times(2, { slots: 4, speed: 1 / 16 })];
/** One of them turns ten times slower when the measured window begins. */
const FAILING = [...times(19, FAST), { slots: 4, speed: 1, turns: { atMs: 0, speed: 1 / 10 } }];
const EVEN = times(20, FAST);
/** Long connections, as many at once as there are; the last one appears when the measured window begins. */
const JOINED = [
  ...times(20, { slots: Number.POSITIVE_INFINITY, speed: 1 }),
  { slots: Number.POSITIVE_INFINITY, speed: 1, joinsAtMs: 0 },
];
const CONNECTION = { kind: "exponential", meanMs: 10_000 } as const;
const CONNECTIONS_PER_MS = 1;

export const TABLE_GATEWAYS = [1, 4, 16, 64];
export const CHART_GATEWAYS = [1, 2, 4, 8, 16, 32, 64];
export const CHART_LOADS = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

interface Plan {
  name: string;
  title: string;
  about: string;
  backends: readonly BackendSpec[];
  loads: readonly number[];
  gateways: readonly number[];
  contenders: readonly Contender[];
  demand?: Demand;
}

const { leastConnections, slotsTold, ...PER_REPLICA } = WEIGHTED;
const { leastTime, leastConnections: unweightedLeastConnections, ...PER_REPLICA_UNWEIGHTED } = UNWEIGHTED;
const ALL_UNWEIGHTED = [leastTime, unweightedLeastConnections, ...Object.values(PER_REPLICA_UNWEIGHTED)];
const BEST_WEIGHTED = [leastConnections, PER_REPLICA.replicaLeastConnections, PER_REPLICA.replicaTwoChoices];
const BEST = [
  ...BEST_WEIGHTED,
  leastTime,
  PER_REPLICA_UNWEIGHTED.replicaLeastConnections,
  PER_REPLICA_UNWEIGHTED.replicaTwoChoices,
];

/** In the order of the document. */
const PLANS: readonly Plan[] = [
  {
    name: "weighted",
    title: "A mixed fleet, weights known",
    about: "40 backends × 4 slots, a quarter of them 2 × slower, weights 2 and 1.",
    backends: MIXED,
    loads: [0.7, 0.85, 0.95],
    gateways: TABLE_GATEWAYS,
    contenders: [leastConnections, slotsTold, ...Object.values(PER_REPLICA)],
  },
  {
    name: "unweighted",
    title: "The same fleet, weights unknown",
    about: "Every weight is 1; who is slow must be found out.",
    backends: MIXED,
    loads: [0.7, 0.85, 0.95],
    gateways: TABLE_GATEWAYS,
    contenders: ALL_UNWEIGHTED,
  },
  {
    name: "lame",
    title: "Two lame backends among sixteen, weights unknown",
    about: "16 backends × 4 slots, 2 of them 16 × slower, every weight 1.",
    backends: LAME,
    loads: [0.5, 0.7],
    gateways: [8],
    contenders: ALL_UNWEIGHTED,
  },
  {
    name: "failing",
    title: "A backend turns slow",
    about:
      "20 equal backends × 4 slots; one turns 10 × slower, figures from that moment on. With true weights, an operator corrects its weight in the same moment.",
    backends: FAILING,
    loads: [0.7],
    gateways: [16],
    contenders: [leastConnections, ...ALL_UNWEIGHTED],
  },
  {
    name: "gateways",
    title: "Latency against the number of gateways",
    about: "The mixed fleet.",
    backends: MIXED,
    loads: [0.85],
    gateways: CHART_GATEWAYS,
    contenders: BEST,
  },
  {
    name: "load",
    title: "Latency against load",
    about: "The mixed fleet behind 16 gateways.",
    backends: MIXED,
    loads: CHART_LOADS,
    gateways: [16],
    contenders: [slotsTold, ...BEST],
  },
  {
    name: "policies",
    title: "Policies of the ledger",
    about: "The mixed fleet.",
    backends: MIXED,
    loads: [0.85],
    gateways: [16],
    contenders: [leastConnections, slotsTold, leastTime, ...POLICIES],
  },
  {
    name: "sizes",
    title: "Requests of two sizes",
    about: "The mixed fleet; 1 request in 20 takes 400 ms, the others 31.6 ms.",
    backends: MIXED,
    loads: [0.85],
    gateways: [16],
    demand: { kind: "bimodal", shortMs: 31.6, longMs: 400, share: 0.05 },
    contenders: BEST,
  },
  {
    name: "even",
    title: "An even fleet",
    about: "20 equal backends × 4 slots: what sharing gains with few gateways, and with room.",
    backends: EVEN,
    loads: [0.5, 0.9],
    gateways: [2, 4, 16],
    contenders: BEST_WEIGHTED,
  },
  {
    name: "short",
    title: "Requests shorter than the decision",
    about: "The mixed fleet, but requests take 1 ms; the shared count costs each of them the hop of 0.4 ms.",
    backends: MIXED,
    loads: [0.7],
    gateways: [4, 16],
    demand: { kind: "exponential", meanMs: 1 },
    contenders: BEST_WEIGHTED,
  },
  {
    name: "hop",
    title: "How slow the hop may be",
    about: "The mixed fleet; each way between gateway and scheduler takes as long as named.",
    backends: MIXED,
    loads: [0.85],
    gateways: [16],
    contenders: [
      ...[0.15, 1, 5, 20, 50].map((legMs) =>
        overHop(`shared least-connections, ${legMs} ms each way`, legMs),
      ),
      PER_REPLICA.replicaTwoChoices,
    ],
  },
];

export function scenarios(effort: Effort): Scenario[] {
  const join: Scenario = {
    name: "join",
    title: "A backend joins",
    about:
      "20 backends with 500 long connections each (1,000 new ones a second, which stay 10 s on average), 16 gateways; a 21st joins empty. Its fair share is 1 in 21.",
    rows: joinRows(effort),
  };
  return [...PLANS.map((plan) => ({ ...plan, rows: planRows(effort, plan) })), join];
}

function planRows(
  effort: Effort,
  { backends, loads, gateways, contenders, demand = EXPONENTIAL }: Plan,
): Row[] {
  return loads.flatMap((load) => {
    const arrivalsPerMs = arrivalsAt(load, backends, demand);
    const scene: Omit<Scene, "gateways"> = {
      backends,
      demand,
      arrivalsPerMs,
      warmupMs: effort.warmupDemands * meanDemandMs(demand),
      measureMs: effort.requests / arrivalsPerMs,
    };
    const row = (contender: Contender, n: number | null): Row => ({
      group: `load ${load}`,
      gateways: n,
      cell: { scene: { ...scene, gateways: n ?? 1 }, contender, seeds: effort.seeds },
    });
    return [row(CENTRAL_QUEUE, null), ...contenders.flatMap((c) => gateways.map((n) => row(c, n)))];
  });
}

function joinRows({ seeds, warmupDemands }: Effort): Row[] {
  const scene: Scene = {
    backends: JOINED,
    gateways: 16,
    demand: CONNECTION,
    arrivalsPerMs: CONNECTIONS_PER_MS,
    // As the pool fills up within few demands, a twentieth of the others' is enough.
    warmupMs: (warmupDemands * CONNECTION.meanMs) / 20,
    measureMs: 51_000,
  };
  return JOINING.map((contender) => ({
    group: "1,000 connections/s",
    gateways: scene.gateways,
    cell: { scene, contender, seeds },
  }));
}
