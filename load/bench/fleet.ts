// Whether more gateways make it worse, on real processes: the same load, request for request, on one gateway and on
// many, over backends that queue. One count shared by all of them should make no difference.

import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { startCluster } from "../../test/support/cluster.ts";
import { createClient } from "../../test/support/load.ts";
import { type Pace, startPacedBackends } from "../../test/support/paced.ts";
import { consecutivePorts } from "../../test/support/scene.ts";
import { createRandom, exponential } from "../simulate/chance.ts";
import { median } from "./median.ts";

const POOL = "fleet";
const SLOTS = 4;
const TICK_MS = 1;
const WARM_UP_SHARE = 0.2;

export interface FleetOptions {
  gateways: readonly number[];
  backends: number;
  /** Mean time of service on a fast backend, ms; a quarter of them takes twice as long, at half the weight. */
  serviceMs: number;
  /** Share of what the backends can serve. */
  load: number;
  rounds: number;
  roundMs: number;
  seed: number;
  progress(line: string): void;
}

/** Medians over the rounds. */
export interface FleetRow {
  gateways: number;
  /** Of all rounds. */
  requests: number;
  p50Ms: number;
  p99Ms: number;
  /** Its p99 ÷ that of the first number of gateways in the same round. */
  p99Ratio: number;
}

interface Request {
  atMs: number;
  serviceMs: number;
}

/** Rounds over the numbers of gateways take turns, so that whatever else the machine does meets all of them. */
export async function measureFleet(options: FleetOptions): Promise<FleetRow[]> {
  const paces = pacesOf(options.backends);
  const requests = arrivals(options, paces);
  const rounds: Round[][] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const measured: Round[] = [];
    for (const gateways of options.gateways) {
      options.progress(
        `fleet: ${gateways} gateway(s), round ${round} of ${options.rounds}, ${requests.length} requests`,
      );
      measured.push(roundOf(await runRound(gateways, paces, requests, options)));
    }
    rounds.push(measured);
  }
  return options.gateways.map((gateways, i) => rowOf(gateways, rounds, i));
}

const pacesOf = (backends: number): Pace[] =>
  Array.from({ length: backends }, (_, i) => ({ slots: SLOTS, slowness: i % 4 === 3 ? 2 : 1 }));

const weightOf = ({ slowness }: Pace) => 2 / slowness;

function arrivals({ serviceMs, load, roundMs, seed }: FleetOptions, paces: readonly Pace[]): Request[] {
  const due = createRandom(seed, "arrivals");
  const demand = createRandom(seed, "demands");
  const perMs = paces.reduce((sum, { slots, slowness }) => sum + slots / (slowness * serviceMs), 0);
  const requests: Request[] = [];
  for (let atMs = 0; atMs < roundMs; atMs += exponential(due, 1 / (load * perMs))) {
    requests.push({ atMs, serviceMs: exponential(demand, serviceMs) });
  }
  return requests;
}

async function runRound(
  gateways: number,
  paces: readonly Pace[],
  requests: readonly Request[],
  { progress }: FleetOptions,
): Promise<number[]> {
  const backends = await startPacedBackends(paces);
  try {
    const config = configOf(backends.urls, paces, await consecutivePorts(gateways));
    const cluster = await startCluster({ config, gateways, schedulers: 2, monitors: 1 });
    try {
      const urls = cluster.gateways.map(({ url }) => url);
      return await send(urls, requests);
    } finally {
      progress("fleet: stopping the processes of this round");
      await cluster.stop();
    }
  } finally {
    backends.stop();
  }
}

function configOf(backends: readonly string[], paces: readonly Pace[], port: number): ConfigDocument {
  return {
    listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
    routes: [{ name: "all", match: {}, proxy: "dynamic", pool: POOL }],
    pools: [
      {
        name: POOL,
        backends: backends.map((url, i) => ({
          id: `b${i}`,
          url,
          weight: weightOf(paces[i] as Pace),
        })),
      },
    ],
  };
}

/**
 * Open loop: a request is sent when it is due, whatever became of those before it. Answers how long each took, ms.
 * @throws when one fails
 */
async function send(urls: readonly string[], requests: readonly Request[]): Promise<number[]> {
  const client = createClient();
  const warm = Math.floor(requests.length * WARM_UP_SHARE);
  const tookMs: number[] = [];
  const answers: Promise<void>[] = [];
  const one = async ({ serviceMs }: Request, i: number) => {
    const sentMs = performance.now();
    const answer = await client.get(`${urls[i % urls.length]}/?ms=${serviceMs}`);
    if (answer.status !== 200) throw new Error(`a request failed: ${answer.error ?? answer.body}`);
    if (i >= warm) tookMs.push(performance.now() - sentMs);
  };
  const startedMs = performance.now();
  for (let next = 0; next < requests.length; ) {
    while (next < requests.length && (requests[next] as Request).atMs <= performance.now() - startedMs) {
      answers.push(one(requests[next] as Request, next));
      next += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(answers);
  client.close();
  return tookMs;
}

interface Round {
  requests: number;
  p50Ms: number;
  p99Ms: number;
}

function roundOf(tookMs: readonly number[]): Round {
  const sorted = Float64Array.from(tookMs).sort();
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** @param rounds in each, one for every number of gateways; `i` is this one's place among them */
function rowOf(gateways: number, rounds: readonly (readonly Round[])[], i: number): FleetRow {
  const own = rounds.map((round) => round[i] as Round);
  return {
    gateways,
    requests: own.reduce((sum, { requests }) => sum + requests, 0),
    p50Ms: median(own.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(own.map(({ p99Ms }) => p99Ms)),
    p99Ratio: median(own.map(({ p99Ms }, round) => p99Ms / (rounds[round]?.[0]?.p99Ms ?? Number.NaN))),
  };
}
