// Proxies beside each other under one kind of request: what each costs and carries at its most, and how long answers take
// at half of that. The proxies take turns, round by round, so that whatever else the machine does meets all of them; ratios
// are between neighbours of one round.
import { median } from "../median.ts";
import { startBackend } from "./backend.ts";
import { type Evenkeel, startEvenkeel } from "./evenkeel.ts";
import { createLoad, type Load, type LoadTask } from "./load.ts";
import { type Cores, cpuUs } from "./machine.ts";
import { type Peer, peers } from "./peers.ts";

/** Of the rate asked for: below it the generator was what took the time, and says nothing of the proxy. */
const KEPT_SHARE = 0.9;

export interface ContestOptions {
  cores: Cores;
  /** Where the Node proxies are installed. */
  modules: string;
  connections: number;
  answerBytes: number;
  /** 0: a GET. */
  bodyBytes: number;
  rounds: number;
  warmUpMs: number;
  roundMs: number;
  progress(line: string): void;
}

/** Medians over the rounds; NaN where there is nothing to compare with. */
export interface ContestRow {
  name: string;
  cpuUs: number;
  perSecond: number;
  /** Its CPU ÷ that of nginx, of @fastify/http-proxy. */
  ofNginx: number;
  ofFastify: number;
  /** At half of `perSecond`; NaN where the generator could not keep that up. */
  p50Ms: number;
  p99Ms: number;
  p99OfNginx: number;
  /** Per request, outside the gateway; null where there is nothing. */
  helpersUs: { scheduler: number; redis: number } | null;
}

export interface Contest {
  rows: ContestRow[];
  /** Of what was left out and what it was measured with. */
  notes: string[];
}

interface Contender {
  name: string;
  port: number;
  path: string;
  /** µs so far. */
  cpu(): number;
  helpers: Evenkeel["helpersUs"] | null;
}

interface Round {
  cpuUs: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  helpersUs: ContestRow["helpersUs"];
}

export async function measureContest(options: ContestOptions): Promise<Contest> {
  const { cores, answerBytes, bodyBytes, progress } = options;
  const stops: (() => Promise<void>)[] = [];
  try {
    const backend = await startBackend({ answerBytes, uploads: bodyBytes > 0 }, cores.others);
    stops.push(backend.stop);
    const load = createLoad(cores.others);
    stops.push(load.stop);
    const notes = [`Backend: ${backend.kind}. Load for the maximum: ${load.kind}.`];
    const contenders: Contender[] = [];
    for (const peer of peers(options.modules)) {
      const missing = peer.missing();
      if (missing === null) contenders.push(await contenderOf(peer, backend.port, cores, stops));
      else notes.push(`${peer.name} was left out: ${missing}.`);
    }
    progress("starting Evenkeel");
    const evenkeel = await startEvenkeel(backend.port, cores);
    stops.push(evenkeel.stop);
    contenders.push(ofEvenkeel(evenkeel, "static"), ofEvenkeel(evenkeel, "dynamic"));
    return { rows: rowsOf(contenders, await measureRounds(contenders, load, options)), notes };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function contenderOf(
  { name, start }: Peer,
  backendPort: number,
  cores: Cores,
  stops: (() => Promise<void>)[],
): Promise<Contender> {
  const { port, pid, stop } = await start(backendPort, cores.proxy);
  stops.push(stop);
  return { name, port, path: "/static", cpu: () => cpuUs(pid), helpers: null };
}

const ofEvenkeel = ({ port, pid, paths, helpersUs }: Evenkeel, kind: "static" | "dynamic"): Contender => ({
  name: `Evenkeel, ${kind} route`,
  port,
  path: paths[kind],
  cpu: () => cpuUs(pid),
  helpers: kind === "dynamic" ? helpersUs : null,
});

async function measureRounds(
  contenders: readonly Contender[],
  load: Load,
  { connections, bodyBytes, rounds, warmUpMs, roundMs, progress }: ContestOptions,
): Promise<Round[][]> {
  const taskOf = ({ port, path }: Contender, durationMs: number): LoadTask => ({
    ...{ port, path, connections, bodyBytes, durationMs },
  });
  for (const contender of contenders) {
    progress(`${contender.name}: warming up`);
    await load.full(taskOf(contender, warmUpMs));
  }
  const measured: Round[][] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const row: Round[] = [];
    for (const contender of contenders) {
      const one = await measureRound(contender, load, taskOf(contender, roundMs));
      const said = `${one.cpuUs.toFixed(1)} µs, ${one.perSecond.toFixed(0)}/s, p99 at half ${Number.isNaN(one.p99Ms) ? "not kept up" : `${one.p99Ms.toFixed(2)} ms`}`;
      progress(`${contender.name}, round ${round} of ${rounds}: ${said}`);
      row.push(one);
    }
    measured.push(row);
  }
  return measured;
}

async function measureRound({ cpu, helpers }: Contender, load: Load, task: LoadTask): Promise<Round> {
  const [before, helpersBefore] = [cpu(), helpers?.()];
  const { requests, perSecond } = await load.full(task);
  const [spentUs, helpersAfter] = [cpu() - before, helpers?.()];
  const half = await load.paced(task, perSecond / 2);
  const kept = half.perSecond >= (perSecond / 2) * KEPT_SHARE;
  const [p50Ms, p99Ms] = kept ? [half.p50Ms, half.p99Ms] : [Number.NaN, Number.NaN];
  const share = (kind: "scheduler" | "redis") =>
    ((helpersAfter?.[kind] ?? 0) - (helpersBefore?.[kind] ?? 0)) / requests;
  const helpersUs = helpers === null ? null : { scheduler: share("scheduler"), redis: share("redis") };
  return { cpuUs: spentUs / requests, perSecond, p50Ms, p99Ms, helpersUs };
}

function rowsOf(contenders: readonly Contender[], rounds: readonly Round[][]): ContestRow[] {
  const nginx = contenders.findIndex(({ name }) => name === "nginx");
  const fastify = contenders.findIndex(({ name }) => name === "@fastify/http-proxy");
  return contenders.map(({ name, helpers }, i) => {
    const of = (value: (round: Round) => number) => known(rounds.map((round) => value(round[i] as Round)));
    const ratio = (other: number, value: (round: Round) => number) =>
      other < 0
        ? Number.NaN
        : known(rounds.map((round) => value(round[i] as Round) / value(round[other] as Round)));
    return {
      name,
      cpuUs: of((round) => round.cpuUs),
      perSecond: of((round) => round.perSecond),
      ofNginx: ratio(nginx, (round) => round.cpuUs),
      ofFastify: ratio(fastify, (round) => round.cpuUs),
      p50Ms: of((round) => round.p50Ms),
      p99Ms: of((round) => round.p99Ms),
      p99OfNginx: ratio(nginx, (round) => round.p99Ms),
      helpersUs:
        helpers === null
          ? null
          : {
              scheduler: of((round) => round.helpersUs?.scheduler ?? Number.NaN),
              redis: of((round) => round.helpersUs?.redis ?? Number.NaN),
            },
    };
  });
}

/** Median of the rounds that have told something. */
const known = (values: readonly number[]): number => median(values.filter((value) => !Number.isNaN(value)));
