// One cell of a table: a contender in a scene, over several seeds, summed up.
import { type Contender, type Run, type Scene, simulate } from "./engine.ts";
import { type Figures, figuresOf, joined, quantile, standardError } from "./samples.ts";

export interface Cell {
  scene: Scene;
  contender: Contender;
  seeds: readonly number[];
}

export interface Result {
  figures: Figures;
  /** Standard error of the p99, as a share of it: how far the parts of the runs are apart. */
  noise: number;
  /** Mean of the second half of the requests ÷ that of the first: well above 1 where queues grow without end. */
  growth: number;
  requests: number;
  refused: number;
  /** Where a backend joins: what share of the requests it was sent, from then on. */
  newcomer: Share[];
}

export interface Share {
  fromMs: number;
  toMs: number;
  share: number;
}

/** A run is cut into so many parts to see how far they are apart. */
const PARTS = 4;

/** Steps of a newcomer's shares: eight to a decade, from 100 ms on. */
const FIRST_STEP_MS = 100;
const STEPS_PER_DECADE = 8;

export async function measure({ scene, contender, seeds }: Cell): Promise<Result> {
  const runs: Run[] = [];
  for (const seed of seeds) runs.push(await simulate(scene, contender, seed));
  const p99s = runs.flatMap(({ responseMs }) => parts(responseMs).map((part) => quantile(part.sort(), 0.99)));
  const all = joined(runs.map((run) => run.responseMs));
  const figures = figuresOf(all);
  return {
    figures,
    noise: standardError(p99s) / figures.p99Ms,
    growth: growthOf(runs, scene.measureMs),
    requests: all.length,
    refused: runs.reduce((sum, run) => sum + run.refused, 0),
    newcomer: sharesOfNewcomer(scene, runs),
  };
}

function parts(samples: Float64Array): Float64Array[] {
  const size = samples.length / PARTS;
  return Array.from({ length: PARTS }, (_, i) =>
    samples.slice(Math.floor(i * size), Math.floor((i + 1) * size)),
  );
}

function growthOf(runs: readonly Run[], measureMs: number): number {
  const sums = [0, 0];
  const counts = [0, 0];
  for (const { responseMs, sentMs } of runs) {
    responseMs.forEach((ms, i) => {
      const half = (sentMs[i] as number) < measureMs / 2 ? 0 : 1;
      sums[half] = (sums[half] as number) + ms;
      counts[half] = (counts[half] as number) + 1;
    });
  }
  const [first = 0, second = 0] = sums.map((sum, half) => sum / (counts[half] as number));
  return second / first;
}

function sharesOfNewcomer({ backends, measureMs }: Scene, runs: readonly Run[]): Share[] {
  const newcomer = backends.findIndex(({ joinsAtMs }) => joinsAtMs !== undefined);
  const joinsAtMs = backends[newcomer]?.joinsAtMs;
  if (joinsAtMs === undefined) return [];
  const shares: Share[] = [];
  for (let fromMs = 0, toMs = FIRST_STEP_MS; joinsAtMs + toMs <= measureMs; ) {
    shares.push({ fromMs, toMs, share: shareBetween(runs, newcomer, joinsAtMs + fromMs, joinsAtMs + toMs) });
    fromMs = toMs;
    toMs *= 10 ** (1 / STEPS_PER_DECADE);
  }
  return shares;
}

function shareBetween(runs: readonly Run[], backend: number, fromMs: number, toMs: number): number {
  let all = 0;
  let its = 0;
  for (const { sentMs, backends } of runs) {
    sentMs.forEach((ms, i) => {
      if (ms < fromMs || ms >= toMs) return;
      all += 1;
      if (backends[i] === backend) its += 1;
    });
  }
  return all === 0 ? 0 : its / all;
}
