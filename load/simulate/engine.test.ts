// The engine against theory: where queueing theory has an answer, the simulation must find it.
import { describe, expect, it } from "vitest";
import { CENTRAL_QUEUE, UNWEIGHTED, WEIGHTED } from "./contenders.ts";
import { arrivalsAt, type Contender, type Scene, simulate } from "./engine.ts";
import type { BackendSpec } from "./fleet.ts";
import { figuresOf } from "./samples.ts";

const MEAN_MS = 50;
const exponential = { kind: "exponential", meanMs: MEAN_MS } as const;
const constant = { kind: "constant", meanMs: MEAN_MS } as const;

const backends = (n: number, slots: number): BackendSpec[] =>
  Array.from({ length: n }, () => ({ slots, speed: 1 }));

const scene = (
  specs: readonly BackendSpec[],
  load: number,
  requests: number,
  more: Partial<Scene> = {},
): Scene => {
  const arrivalsPerMs = arrivalsAt(load, specs, exponential);
  return {
    backends: specs,
    gateways: 4,
    demand: exponential,
    arrivalsPerMs,
    warmupMs: 10_000,
    measureMs: requests / arrivalsPerMs,
    ...more,
  };
};

const figures = async (of: Scene, contender: Contender) =>
  figuresOf((await simulate(of, contender, 7)).responseMs);

/** Mean time in an M/M/c system, in mean service times. */
function erlangC(servers: number, load: number): number {
  const offered = servers * load;
  let term = 1;
  let sum = 1;
  for (let k = 1; k < servers; k += 1) {
    term *= offered / k;
    sum += term;
  }
  const waiting = (term * offered) / servers / (1 - load);
  return 1 + waiting / (sum + waiting) / (servers * (1 - load));
}

const all: Contender[] = [...Object.values(WEIGHTED), ...Object.values(UNWEIGHTED)];

describe("the engine", () => {
  it("knows what Erlang's formula says", () => {
    expect(erlangC(1, 0.8)).toBeCloseTo(5);
    expect(erlangC(5, 0.9)).toBeCloseTo(2.525, 2);
  });

  it.each([
    [1, 0.8],
    [5, 0.8],
    [20, 0.9],
  ])("finds the mean time of a queue with %i slots at load %f", async (slots, load) => {
    const { meanMs } = await figures(scene(backends(1, slots), load, 400_000), CENTRAL_QUEUE);
    expect(meanMs / MEAN_MS / erlangC(slots, load)).toBeGreaterThan(0.96);
    expect(meanMs / MEAN_MS / erlangC(slots, load)).toBeLessThan(1.04);
  });

  it("finds the same mean for one queue before five backends as for one backend with five slots", async () => {
    const apart = await figures(scene(backends(5, 1), 0.8, 20_000), CENTRAL_QUEUE);
    const together = await figures(scene(backends(1, 5), 0.8, 20_000), CENTRAL_QUEUE);
    expect(apart).toEqual(together);
  });

  it("finds the queue of one backend by itself whoever chooses among one", async () => {
    const one = scene(backends(1, 4), 0.7, 20_000);
    const bound = await figures(one, CENTRAL_QUEUE);
    const { meanMs } = await figures(one, WEIGHTED.replicaLeastConnections);
    expect(meanMs).toBeCloseTo(bound.meanMs, 6);
  });

  it.each(all)("repeats a run of $name by its seed", async (contender) => {
    const short = scene(backends(6, 2), 0.8, 2_000);
    const run = await simulate(short, contender, 1);
    expect(await simulate(short, contender, 1)).toEqual(run);
    expect((await simulate(short, contender, 2)).responseMs).not.toEqual(run.responseMs);
  });

  it.each(all)("never serves better than the bound by $name", async (contender) => {
    const even = scene(backends(12, 2), 0.85, 20_000);
    const bound = await figures(even, CENTRAL_QUEUE);
    const its = await figures(even, contender);
    expect(its.meanMs).toBeGreaterThanOrEqual(bound.meanMs);
    expect(its.p99Ms).toBeGreaterThanOrEqual(bound.p99Ms * 0.99);
  });

  it("gives every contender the same requests", async () => {
    // With a slot for everybody nobody waits, so response times are the demands, and the hop where there is one.
    const idle = scene(backends(10, Number.POSITIVE_INFINITY), 1, 0, {
      arrivalsPerMs: 0.2,
      measureMs: 20_000,
    });
    const hopMs = 0.4;
    const bound = (await simulate(idle, CENTRAL_QUEUE, 3)).responseMs.toSorted();
    const replica = (await simulate(idle, WEIGHTED.replicaTwoChoices, 3)).responseMs.toSorted();
    const shared = (await simulate(idle, WEIGHTED.leastConnections, 3)).responseMs.toSorted();
    expect(bound.length).toBeGreaterThan(3_000);
    expect(replica).toEqual(bound);
    expect(shared).toHaveLength(bound.length);
    shared.forEach((ms, i) => {
      expect(ms - (bound[i] as number)).toBeGreaterThan(hopMs - 0.001);
    });
  });

  it("charges the shared count for the hop, and nobody else", async () => {
    const rare = scene(backends(3, 1), 0.0005, 20, { demand: constant });
    const shared = await simulate(rare, WEIGHTED.leastConnections, 5);
    for (const ms of shared.responseMs) expect(ms).toBeCloseTo(MEAN_MS + 0.4, 6);
    const replica = await simulate(rare, WEIGHTED.replicaLeastConnections, 5);
    for (const ms of replica.responseMs) expect(ms).toBeCloseTo(MEAN_MS, 6);
  });

  it("lets a backend turn slow, and one join, when the warm-up ends", async () => {
    const specs = [
      { slots: 100, speed: 1 },
      { slots: 100, speed: 1, turns: { atMs: 1_000, speed: 0.1 } },
      { slots: 100, speed: 1, joinsAtMs: 2_000 },
    ];
    const changing = scene(specs, 0.05, 0, { demand: constant, measureMs: 4_000 });
    const { responseMs, sentMs, backends: to } = await simulate(changing, WEIGHTED.replicaRoundRobin, 5);
    const seen = (backend: number, fromMs: number, toMs: number) =>
      Array.from(responseMs).filter(
        (_, i) => to[i] === backend && (sentMs[i] as number) >= fromMs && (sentMs[i] as number) < toMs,
      );
    expect(Math.max(...seen(1, 0, 1_000))).toBeCloseTo(MEAN_MS, 6);
    expect(Math.min(...seen(1, 1_000, 4_000))).toBeCloseTo(MEAN_MS * 10, 6);
    expect(seen(2, 0, 2_000)).toEqual([]);
    expect(seen(2, 2_000, 4_000).length).toBeGreaterThan(20);
  });
});
