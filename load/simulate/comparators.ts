// What others do, to compare with: gateways that count only what went through themselves, and the bound that none can
// reach, one queue for all. None of them needs a hop, so none is charged for one.
import type { Dispatch, World } from "./dispatch.ts";
import type { Backend, Request } from "./fleet.ts";

export type ReplicaRule = "least-connections" | "two-choices" | "round-robin";

/** Gateways that know nothing of each other. */
export function createPerReplica(rule: ReplicaRule, world: World): Dispatch {
  const { fleet, gateways } = world;
  let present = fleet.backends.filter((b) => b.present);
  const replicas = Array.from({ length: gateways }, () => createReplica(world));
  return {
    arrived(request) {
      const replica = replicas[request.gateway] as Replica;
      const backend = replica[rule](present);
      replica.counts[backend.index] = (replica.counts[backend.index] as number) + 1;
      fleet.send(request, backend);
    },
    finished(request, backend) {
      const { counts } = replicas[request.gateway] as Replica;
      counts[backend.index] = (counts[backend.index] as number) - 1;
    },
    changed() {
      present = fleet.backends.filter((b) => b.present);
      return undefined;
    },
  };
}

type Replica = Record<ReplicaRule, (backends: readonly Backend[]) => Backend> & { counts: Int32Array };

function createReplica({ fleet, random, weightOf }: World): Replica {
  const counts = new Int32Array(fleet.backends.length);
  const load = (b: Backend) => ((counts[b.index] as number) + 1) / weightOf(b);
  // Replicas start anywhere in the round, else they would all go round together.
  const turns = Float64Array.from(fleet.backends, (b) => random() / weightOf(b));

  return {
    counts,
    /** Of all; chance among equals, since a fixed order would make all replicas prefer the same. */
    "least-connections"(backends) {
      let best = backends[0] as Backend;
      let least = Number.POSITIVE_INFINITY;
      let equals = 0;
      for (const backend of backends) {
        const value = load(backend);
        if (value > least) continue;
        equals = value < least ? 1 : equals + 1;
        if (equals === 1 || random() * equals < 1) best = backend;
        least = value;
      }
      return best;
    },
    "two-choices"(backends) {
      const first = Math.floor(random() * backends.length);
      const step = 1 + Math.floor(random() * (backends.length - 1));
      const a = backends[first] as Backend;
      const b = backends[(first + step) % backends.length] as Backend;
      return load(b) < load(a) ? b : a;
    },
    "round-robin"(backends) {
      let next = backends[0] as Backend;
      for (const b of backends) if ((turns[b.index] as number) < (turns[next.index] as number)) next = b;
      turns[next.index] = (turns[next.index] as number) + 1 / weightOf(next);
      return next;
    },
  };
}

/** One queue for all, first come first served; who finds several free slots takes the fastest. */
export function createCentralQueue({ fleet }: World): Dispatch {
  const queue: Request[] = [];
  const serve = (request: Request): boolean => {
    let best: Backend | null = null;
    for (const backend of fleet.backends) {
      if (!backend.present || backend.busy >= backend.slots) continue;
      if (best === null || backend.speed > best.speed) best = backend;
    }
    if (best) fleet.send(request, best);
    return best !== null;
  };
  const serveWaiting = () => {
    while (queue[0] && serve(queue[0])) queue.shift();
    return undefined;
  };
  return {
    arrived(request) {
      if (queue.length > 0 || !serve(request)) queue.push(request);
    },
    finished: serveWaiting,
    changed: serveWaiting,
  };
}
