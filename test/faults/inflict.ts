// Inflicts one fault on the cluster, for as long as it lasts, and makes its target whole again.
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend, Cluster, Service } from "./cluster.ts";
import type { Fault, FaultKind, PlannedFault } from "./facts.ts";
import type { RealProcess } from "./processes.ts";

interface Act {
  begin(cluster: Cluster, target: string): unknown;
  end(cluster: Cluster, target: string): unknown;
}

type Killable = Pick<RealProcess, "kill" | "start" | "freeze" | "thaw">;

const serviceOf = ({ services }: Cluster, target: string) => services.get(target) as Service;
const backendOf = ({ backends }: Cluster, target: string) => backends.get(target) as Backend;

function processOf(cluster: Cluster, target: string): Killable {
  if (target === "redis") return cluster.redis;
  return (cluster.services.get(target) ?? backendOf(cluster, target)).process;
}

const ACTS: Record<FaultKind, Act> = {
  kill: {
    begin: (cluster, target) => processOf(cluster, target).kill(),
    end: (cluster, target) => processOf(cluster, target).start(),
  },
  restart: {
    begin: (cluster, target) => serviceOf(cluster, target).process.stop(),
    end: (cluster, target) => serviceOf(cluster, target).process.start(),
  },
  empty: {
    async begin({ redis, watch }) {
      await redis.kill();
      watch.newLife();
      await redis.forget();
    },
    end: ({ redis }) => redis.start(),
  },
  freeze: {
    begin: (cluster, target) => processOf(cluster, target).freeze(),
    end: (cluster, target) => processOf(cluster, target).thaw(),
  },
  cut: {
    begin: (cluster, target) => serviceOf(cluster, target).relay.cut(),
    end: (cluster, target) => serviceOf(cluster, target).relay.heal(),
  },
  hold: {
    begin: (cluster, target) => serviceOf(cluster, target).relay.hold(),
    end: (cluster, target) => serviceOf(cluster, target).relay.heal(),
  },
  fail: {
    begin: (cluster, target) => backendOf(cluster, target).become("fail"),
    end: (cluster, target) => backendOf(cluster, target).become("ok"),
  },
  refuse: {
    begin: (cluster, target) => backendOf(cluster, target).become("refuse"),
    end: (cluster, target) => backendOf(cluster, target).become("ok"),
  },
};

/** Never rejects: what does not come back is noted in the cluster's deaths. */
export async function inflict(cluster: Cluster, planned: PlannedFault): Promise<Fault> {
  const { kind, target, atMs, lastsMs } = planned;
  await sleep(atMs);
  const fromMs = Date.now();
  await ACTS[kind].begin(cluster, target);
  await sleep(lastsMs);
  try {
    await ACTS[kind].end(cluster, target);
  } catch (error) {
    cluster.deaths.push(`${target} did not come back: ${(error as Error).message}`);
  }
  return { ...planned, fromMs, untilMs: Date.now() };
}
