// What must hold of the policies, small enough for every test run; `npm run simulate` measures the same at length.
import { describe, expect, it } from "vitest";
import { CENTRAL_QUEUE, UNWEIGHTED, WEIGHTED } from "./contenders.ts";
import { type Contender, type Scene, simulate } from "./engine.ts";
import { type Figures, figuresOf, joined } from "./samples.ts";
import { type Effort, scenarios } from "./scenarios.ts";

const EFFORT: Effort = { seeds: [1], requests: 34_000, warmupDemands: 80 };
/** For what few requests decide: a p99 made by two backends of sixteen. */
const NOISY_SEEDS = [1, 2, 3];
const TIMEOUT_MS = 60_000;

const all = scenarios(EFFORT);

function sceneOf(scenario: string, load: number, gateways: number): Scene {
  const rows = all.find(({ name }) => name === scenario)?.rows ?? [];
  const row = rows.find((r) => r.group === `load ${load}` && r.gateways === gateways);
  if (!row) throw new Error(`${scenario} has no load ${load} with ${gateways} gateways`);
  return row.cell.scene;
}

const measured = new Map<string, Promise<Figures>>();

/** Measured once, however many bounds ask for it. */
function figures(scene: Scene, contender: Contender, seeds = EFFORT.seeds): Promise<Figures> {
  const key = JSON.stringify([scene, contender, seeds]);
  const known = measured.get(key) ?? measure(scene, contender, seeds);
  measured.set(key, known);
  return known;
}

async function measure(scene: Scene, contender: Contender, seeds: readonly number[]): Promise<Figures> {
  const runs = await Promise.all(seeds.map((seed) => simulate(scene, contender, seed)));
  expect(runs.map(({ refused }) => refused)).toEqual(seeds.map(() => 0));
  return figuresOf(joined(runs.map(({ responseMs }) => responseMs)));
}

async function p99Ratio(scene: Scene, contender: Contender, to: Contender): Promise<number> {
  return (await figures(scene, contender)).p99Ms / (await figures(scene, to)).p99Ms;
}

const { leastConnections, slotsTold } = WEIGHTED;
const { leastTime } = UNWEIGHTED;

describe("a mixed fleet of 40 backends", () => {
  it.each([
    { ...leastConnections, load: 0.7, most: 1.2 },
    { ...leastConnections, load: 0.85, most: 1.05 },
    { ...leastConnections, load: 0.95, most: 1.05 },
    { ...slotsTold, load: 0.7, most: 1.05 },
    { ...slotsTold, load: 0.85, most: 1.05 },
    { ...leastTime, load: 0.85, most: 1.1 },
    { ...leastTime, load: 0.95, most: 1.1 },
  ])("is served by $name at load $load within $most × the bound", { timeout: TIMEOUT_MS }, async (row) => {
    const { load, most, ...contender } = row;
    expect(await p99Ratio(sceneOf("weighted", load, 16), contender, CENTRAL_QUEUE)).toBeLessThan(most);
  });

  it("is served as well through 64 gateways as through one", { timeout: TIMEOUT_MS }, async () => {
    const one = await figures(sceneOf("weighted", 0.85, 1), leastConnections);
    const many = await figures(sceneOf("weighted", 0.85, 64), leastConnections);
    expect(Math.abs(many.p99Ms / one.p99Ms - 1)).toBeLessThan(0.03);
  });
});

describe("two lame backends among sixteen, weights unknown", () => {
  it.each([0.5, 0.7])("are found out by least-time at load %f", { timeout: TIMEOUT_MS }, async (load) => {
    const scene = sceneOf("lame", load, 8);
    const p99 = async (contender: Contender) => (await figures(scene, contender, NOISY_SEEDS)).p99Ms;
    const its = await p99(leastTime);
    expect(its / (await p99(CENTRAL_QUEUE))).toBeLessThan(1.1);
    expect(its / (await p99(UNWEIGHTED.replicaLeastConnections))).toBeLessThan(0.35);
    expect(its / (await p99(UNWEIGHTED.replicaTwoChoices))).toBeLessThan(0.1);
  });
});

describe("a backend that turns ten times slower", () => {
  it("costs least-time little more than an operator who knows", { timeout: TIMEOUT_MS }, async () => {
    const scene = sceneOf("failing", 0.7, 16);
    const knowing = await figures(scene, leastConnections);
    expect((await figures(scene, leastTime)).p999Ms / knowing.p999Ms).toBeLessThan(1.5);
  });
});
