// The whole hop gateway → scheduler → Redis → back, on real processes: what a dynamic route adds to a static one over
// the same backends, and what a decision costs each process. Static and dynamic rounds take turns within one run, so
// that whatever else the machine does meets both alike.
import { type ClosedLoop, type Latencies, openClosedLoop } from "./closed-loop.ts";
import { type Counters, type HopCluster, startHopCluster } from "./hop-cluster.ts";
import { median } from "./median.ts";

const WARM_UP_MS = 3_000;

export interface HopOptions {
  /** Requests open at once; one row each. */
  concurrencies: readonly number[];
  /** Of each kind, in turn: static, dynamic, static, … */
  rounds: number;
  roundMs: number;
  /** In the pool; one process answers for all of them. */
  backends: number;
  progress(line: string): void;
}

interface Side {
  p50Ms: number;
  p99Ms: number;
  perSecond: number;
}

/** Medians over the rounds. */
export interface HopRow {
  concurrency: number;
  static: Side;
  dynamic: Side;
  /** Median of the differences between neighbouring rounds. */
  added: { p50Ms: number; p99Ms: number };
  wantsPerSettle: number;
  /** Per decision, the share of what is always there (heartbeats, metrics being read) included. */
  cpuUs: {
    /** Of a dynamic request beyond a static one, which is counted and stated too, but waits for nothing. */
    gateway: number;
    /** All that asking, stating and counting takes, in a process that does nothing else. */
    client: number;
    scheduler: number;
    redis: number;
  };
  /** From asking to the pick in that process. */
  pickP50Ms: number;
}

interface Round {
  latencies: Latencies;
  spent: Counters;
  seconds: number;
}

/** @throws when a request was not answered with 200 */
export async function measureHop(options: HopOptions): Promise<HopRow[]> {
  options.progress("starting a gateway, a scheduler, a health-monitor and a Redis");
  const cluster = await startHopCluster(options.backends);
  const rows: HopRow[] = [];
  try {
    for (const concurrency of options.concurrencies)
      rows.push(await measureRow(cluster, concurrency, options));
  } finally {
    await cluster.stop();
  }
  return rows;
}

async function measureRow(cluster: HopCluster, concurrency: number, options: HopOptions): Promise<HopRow> {
  const { rounds, roundMs, progress } = options;
  const { paths } = cluster;
  const loop = await openClosedLoop(cluster.gatewayUrl, concurrency);
  const fixed: Round[] = [];
  const decided: Round[] = [];
  try {
    for (const kind of [paths.static, paths.dynamic]) await loop.run(kind, WARM_UP_MS);
    for (let round = 1; round <= rounds; round += 1) {
      const [a, b] = [
        await measureRound(loop, cluster, paths.static, roundMs),
        await measureRound(loop, cluster, paths.dynamic, roundMs),
      ];
      fixed.push(a);
      decided.push(b);
      const p50s = `${a.latencies.p50Ms.toFixed(3)} ms static, ${b.latencies.p50Ms.toFixed(3)} dynamic`;
      progress(`${concurrency} at once, round ${round} of ${rounds}: p50 ${p50s}`);
    }
  } finally {
    loop.close();
  }
  progress(`${concurrency} at once, the gateway's client alone`);
  const client = await cluster.runClient(concurrency, rounds * roundMs);
  if (client.alone > 0) progress(`${client.alone} of ${client.decisions} decisions came from the fallback`);
  return { concurrency, ...summary(fixed, decided, client.cpuUs), pickP50Ms: client.p50Ms };
}

async function measureRound(
  loop: ClosedLoop,
  cluster: HopCluster,
  paths: readonly string[],
  ms: number,
): Promise<Round> {
  const before = await cluster.read();
  const startedMs = performance.now();
  const latencies = await loop.run(paths, ms);
  const seconds = (performance.now() - startedMs) / 1_000;
  const after = await cluster.read();
  if (latencies.failures > 0) throw new Error(`${latencies.failures} requests to ${paths[0]} failed`);
  const spent: Counters = {
    gatewayCpuS: after.gatewayCpuS - before.gatewayCpuS,
    schedulerCpuS: after.schedulerCpuS - before.schedulerCpuS,
    redisCpuS: after.redisCpuS - before.redisCpuS,
    decisions: after.decisions - before.decisions,
    settles: after.settles - before.settles,
  };
  return { latencies, spent, seconds };
}

function summary(fixed: readonly Round[], decided: readonly Round[], clientCpuUs: number) {
  const side = (rounds: readonly Round[]): Side => ({
    p50Ms: median(rounds.map(({ latencies }) => latencies.p50Ms)),
    p99Ms: median(rounds.map(({ latencies }) => latencies.p99Ms)),
    perSecond: median(rounds.map(({ latencies, seconds }) => latencies.requests / seconds)),
  });
  const difference = (measure: (round: Round) => number) =>
    median(decided.map((round, i) => measure(round) - measure(fixed[i] as Round)));
  const perDecisionUs = (spentS: (counters: Counters) => number) =>
    median(decided.map(({ spent }) => (spentS(spent) / spent.decisions) * 1e6));
  return {
    static: side(fixed),
    dynamic: side(decided),
    added: {
      p50Ms: difference(({ latencies }) => latencies.p50Ms),
      p99Ms: difference(({ latencies }) => latencies.p99Ms),
    },
    wantsPerSettle: median(decided.map(({ spent }) => spent.decisions / spent.settles)),
    cpuUs: {
      gateway: difference(({ latencies, spent }) => (spent.gatewayCpuS / latencies.requests) * 1e6),
      client: clientCpuUs,
      scheduler: perDecisionUs(({ schedulerCpuS }) => schedulerCpuS),
      redis: perDecisionUs(({ redisCpuS }) => redisCpuS),
    },
  };
}
