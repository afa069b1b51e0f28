// One run: requests arrive by chance at gateways chosen by chance, a dispatch sends them to backends, and the response
// times of those that arrived in the measured window are kept. Same seed, same run.
import { createRandom, type Demand, drawDemand, exponential, meanDemandMs } from "./chance.ts";
import { createCentralQueue, createPerReplica, type ReplicaRule } from "./comparators.ts";
import type { Dispatch, World } from "./dispatch.ts";
import { type Backend, type BackendSpec, capacity, createFleet, type Request, weightScale } from "./fleet.ts";
import { createSharedCount, type SharedCountOptions } from "./shared-count.ts";
import { createTimeline, type Timeline } from "./timeline.ts";

/** Weights as an operator would set them: the speeds as they are at the time, or 1 for all. */
export type Weights = "true" | "equal";

export type Contender = { name: string } & (
  | ({ by: "shared-count"; weights: Weights } & SharedCountOptions)
  | { by: "per-replica"; rule: ReplicaRule; weights: Weights }
  | { by: "central-queue" }
);

export interface Scene {
  backends: readonly BackendSpec[];
  gateways: number;
  demand: Demand;
  arrivalsPerMs: number;
  warmupMs: number;
  measureMs: number;
}

export interface Run {
  /** Response times of the requests that arrived in the measured window, ms, in order of their ends. */
  responseMs: Float64Array;
  /** When they were sent to their backends, ms after the warm-up. */
  sentMs: Float64Array;
  /** The backends they went to, by index. */
  backends: Uint32Array;
  refused: number;
}

/** Arrivals per ms that keep the backends busy to this share, before anything changes. */
export const arrivalsAt = (load: number, backends: readonly BackendSpec[], demand: Demand): number =>
  (load * capacity(backends)) / meanDemandMs(demand);

export async function simulate(scene: Scene, contender: Contender, seed: number): Promise<Run> {
  const { warmupMs, measureMs, gateways } = scene;
  const timeline = createTimeline();
  const record = createRecord(timeline, warmupMs);
  let dispatch: Dispatch | null = null;
  const fleet = createFleet({
    specs: scene.backends,
    timeline,
    warmupMs,
    finished(request, backend) {
      record.finished(request, backend);
      dispatch?.finished(request, backend);
    },
    changed: () => dispatch?.changed(),
  });
  const world: World = {
    timeline,
    fleet,
    gateways,
    random: createRandom(seed, "dispatch"),
    weightOf: weigher(scene, contender),
    refuse: record.refused,
    isOver: () => timeline.nowMs > warmupMs + measureMs,
  };
  dispatch = createDispatch(contender, world);
  await dispatch.changed();
  startArrivals(scene, seed, world, dispatch);
  await timeline.run();
  return record.run();
}

function createDispatch(contender: Contender, world: World): Dispatch {
  if (contender.by === "central-queue") return createCentralQueue(world);
  if (contender.by === "per-replica") return createPerReplica(contender.rule, world);
  return createSharedCount(world, contender);
}

function weigher({ backends }: Scene, contender: Contender): (backend: Backend) => number {
  if (contender.by === "central-queue" || contender.weights === "equal") return () => 1;
  const scale = weightScale(backends);
  return ({ speed }) => Math.max(1, Math.round(speed * scale));
}

/** Arrivals, demands and gateways have streams of their own: they are the same whoever decides. */
function startArrivals(scene: Scene, seed: number, world: World, { arrived }: Dispatch): void {
  const { timeline } = world;
  const betweenMs = 1 / scene.arrivalsPerMs;
  const arrivals = createRandom(seed, "arrivals");
  const demands = createRandom(seed, "demands");
  const gateways = createRandom(seed, "gateways");
  const next = () => {
    if (world.isOver()) return undefined;
    arrived({
      gateway: Math.floor(gateways() * scene.gateways),
      arrivedMs: timeline.nowMs,
      demandMs: drawDemand(scene.demand, demands),
      sentMs: 0,
    });
    timeline.after(exponential(arrivals, betweenMs), next);
    return undefined;
  };
  timeline.after(exponential(arrivals, betweenMs), next);
}

function createRecord(timeline: Timeline, warmupMs: number) {
  const responseMs: number[] = [];
  const sentMs: number[] = [];
  const backends: number[] = [];
  let refused = 0;
  return {
    finished(request: Request, backend: Backend) {
      if (request.arrivedMs < warmupMs) return;
      responseMs.push(timeline.nowMs - request.arrivedMs);
      sentMs.push(request.sentMs - warmupMs);
      backends.push(backend.index);
    },
    refused() {
      refused += 1;
    },
    run: (): Run => ({
      responseMs: Float64Array.from(responseMs),
      sentMs: Float64Array.from(sentMs),
      backends: Uint32Array.from(backends),
      refused,
    }),
  };
}
