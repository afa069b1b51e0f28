// Evenkeel itself: gateways that state what they hold to a scheduler, and a scheduler that asks the ledger, here the
// reference model. The conversation is the real one (one settle in flight per gateway, one ledger call in flight, what
// comes meanwhile goes into the next), the gateways' rows are the real ones, and every leg takes its time.
import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { PoolFacts, Reply, Statement } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { createRow, type Row } from "@evenkeel/gateway/scheduling/row.ts";
import { STATEMENTS_PER_CALL_MAX } from "@evenkeel/scheduler/batching/batcher.ts";
import { poolFacts } from "@evenkeel/scheduler/reconcile/facts.ts";
import type { Dispatch, World } from "./dispatch.ts";
import type { Request } from "./fleet.ts";

export interface Hop {
  toSchedulerMs: number;
  ledgerCallMs: number;
  toGatewayMs: number;
}

/** What the real hop takes on one machine. */
export const REAL_HOP: Hop = { toSchedulerMs: 0.15, ledgerCallMs: 0.1, toGatewayMs: 0.15 };

/** A pool as it is configured, policy and all; name and backends come from the scene. */
export type PoolParameters = Partial<Omit<PoolDocument, "name" | "backends">>;

export interface SharedCountOptions {
  pool: PoolParameters;
  /** The configuration says how many each backend serves at once. */
  tellsSlots?: boolean;
  /** Default: the real one. */
  hop?: Hop;
}

const POOL = "simulated";
const HEARTBEAT_MS = 1_000;
/** The ledger knows 0 as "never", so its time does not begin there. */
const EPOCH_MS = 1_000_000;

interface Gateway {
  readonly id: string;
  readonly row: Row;
  waiting: Request[];
  seq: number;
  full: boolean;
  settling: boolean;
}

interface Call {
  statement: Statement;
  answered(reply: Reply): void;
}

/** Must be `changed()` once before the first arrival: that configures the pool. */
export function createSharedCount(world: World, options: SharedCountOptions): Dispatch {
  const { timeline, fleet } = world;
  const ledger = createModelLedger(() => EPOCH_MS + Math.floor(timeline.nowMs));
  const byId = new Map(fleet.backends.map((b) => [b.id, b]));
  const gateways = Array.from({ length: world.gateways }, (_, i) => createGateway(i));
  let configVersion = 0;

  const scheduler = createScheduler(world, options.hop ?? REAL_HOP, async (statements) => {
    const result = await ledger.settle(POOL, statements);
    if (!result) throw new Error("the pool is not configured");
    return result.replies;
  });

  const settle = (gateway: Gateway) => {
    const wanting = gateway.waiting;
    gateway.waiting = [];
    gateway.settling = true;
    const statement = stated(gateway, wanting.length);
    scheduler({ statement, answered: (reply) => answered(gateway, wanting, reply) });
  };

  const speak = (gateway: Gateway) => {
    if (!gateway.settling && (gateway.waiting.length > 0 || gateway.row.dirty)) settle(gateway);
  };

  const answered = (gateway: Gateway, wanting: readonly Request[], reply: Reply) => {
    if (reply.status !== "applied") throw new Error("statements that follow each other are never stale");
    gateway.settling = false;
    gateway.full = reply.resync;
    wanting.forEach((request, i) => {
      const backend = byId.get(reply.picks[i] ?? "");
      if (!backend) {
        world.refuse();
        return;
      }
      gateway.row.picked(backend.id);
      gateway.row.granted(backend.id);
      fleet.send(request, backend);
    });
    speak(gateway);
  };

  const beat = (gateway: Gateway) => {
    if (world.isOver()) return undefined;
    if (!gateway.settling) settle(gateway);
    timeline.after(HEARTBEAT_MS, () => beat(gateway));
    return undefined;
  };
  gateways.forEach((gateway, i) => {
    timeline.after((HEARTBEAT_MS * i) / gateways.length, () => beat(gateway));
  });

  return {
    arrived(request) {
      const gateway = gateways[request.gateway] as Gateway;
      gateway.waiting.push(request);
      speak(gateway);
    },
    finished(request, backend) {
      const gateway = gateways[request.gateway] as Gateway;
      gateway.row.released(backend.id, "success", timeline.nowMs - request.sentMs);
      speak(gateway);
    },
    async changed() {
      configVersion += 1;
      await ledger.configure(factsOf(world, options, configVersion));
    },
  };
}

type Scheduler = (call: Call) => void;

/** One ledger call in flight; what waits goes into the next. */
function createScheduler(
  { timeline }: World,
  hop: Hop,
  settle: (statements: Statement[]) => Promise<readonly Reply[]>,
): Scheduler {
  const waiting: Call[] = [];
  let calling = false;

  const call = () => {
    calling = true;
    const batch = waiting.splice(0, STATEMENTS_PER_CALL_MAX);
    timeline.after(hop.ledgerCallMs, async () => {
      const replies = await settle(batch.map(({ statement }) => statement));
      batch.forEach(({ answered }, i) => {
        timeline.after(hop.toGatewayMs, () => {
          answered(replies[i] as Reply);
          return undefined;
        });
      });
      calling = false;
      if (waiting.length > 0) call();
    });
  };

  return (one) =>
    timeline.after(hop.toSchedulerMs, () => {
      waiting.push(one);
      if (!calling) call();
      return undefined;
    });
}

const createGateway = (i: number): Gateway => ({
  id: `gateway-${i + 1}`,
  row: createRow(),
  waiting: [],
  seq: 0,
  full: true,
  settling: false,
});

function stated(gateway: Gateway, wants: number): Statement {
  const { id, full } = gateway;
  gateway.seq += 1;
  gateway.full = false;
  return {
    gateway: id,
    seq: gateway.seq,
    full,
    ...gateway.row.take(full),
    wants: Array.from({ length: wants }, () => ({})),
  };
}

function factsOf(
  world: World,
  { pool, tellsSlots = false }: SharedCountOptions,
  configVersion: number,
): PoolFacts {
  const backends = world.fleet.backends
    .filter((backend) => backend.present)
    .map((backend) => ({
      id: backend.id,
      url: `http://127.0.0.1:${20_000 + backend.index}`,
      weight: world.weightOf(backend),
      ...(tellsSlots ? { slots: backend.slots } : {}),
    }));
  return poolFacts(resolvePool({ ...pool, name: POOL, backends }), configVersion);
}
