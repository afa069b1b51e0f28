// What is seen of a backend from outside while it misbehaves: how often each gateway has picked it, and how the ledger
// finds it. Gateways are asked one by one, as often as the moment needs.
import { setTimeout as sleep } from "node:timers/promises";
import type { HealthReason } from "@evenkeel/core/health/state.ts";
import type { ShownPool } from "@evenkeel/core/wire/shown-pool.ts";
import { createClient } from "../../../test/support/load.ts";
import type { GatewayView } from "../../../test/support/scene.ts";
import { epochMs, type FaultyBackend } from "./backends.ts";
import { POOL, type World } from "./world.ts";

/** Around a fault, and otherwise, ms between two questions to a gateway: the times of picks are exact to the former. */
export const CLOSE_MS = 15;
const LOOSE_MS = 200;
const LEDGER_MS = 50;

/** A gateway has picked the backend since it was asked last. */
export interface Picked {
  gateway: string;
  atMs: number;
  /** How often, since then. */
  count: number;
}

export interface HealthChange {
  backend: string;
  health: "healthy" | "unhealthy";
  reason: HealthReason;
  detail: string | null;
  /** By Redis's clock, which is this machine's. */
  atMs: number;
}

export interface Watch {
  readonly picked: readonly Picked[];
  readonly changes: readonly HealthChange[];
  /** The pool as the ledger had it last. */
  pool(): ShownPool | null;
  /** How many requests to the backend the gateways had under way when they were asked last. */
  held(): number;
  closely(close: boolean): void;
  stop(): Promise<void>;
}

/** @param target whose picks are watched; of the ledger all backends are */
export function watch({ cluster }: World, target: FaultyBackend): Watch {
  const client = createClient();
  const picked: Picked[] = [];
  const changes: HealthChange[] = [];
  const held = new Map<string, number>();
  const since = new Map<string, number>();
  let last: ShownPool | null = null;
  let close = false;
  let stopped = false;

  const json = async (url: string): Promise<unknown> => {
    const { status, body } = await client.get(url);
    return status === 200 ? JSON.parse(body) : null; // one that cannot be asked now is asked again
  };
  const followGateway = async ({ id, adminUrl }: { id: string; adminUrl: string }) => {
    let before = -1;
    while (!stopped) {
      const askedMs = performance.now();
      const answer = (await json(`${adminUrl}/v1/pools`)) as { pools: SeenPool[] } | null;
      const view = answer?.pools.find(({ pool }) => pool === POOL);
      if (view) {
        const picks = view.picks[target.id] ?? 0;
        if (before >= 0 && picks > before)
          picked.push({ gateway: id, atMs: epochMs(), count: picks - before });
        before = picks;
        held.set(id, view.held[target.id] ?? 0);
      }
      await sleep(Math.max(1, (close ? CLOSE_MS : LOOSE_MS) - (performance.now() - askedMs)));
    }
  };
  const followLedger = async () => {
    for (let turn = 0; !stopped; turn += 1) {
      const scheduler = cluster.schedulers[turn % cluster.schedulers.length];
      const pool = (await json(`${scheduler?.url}/v1/pools/${POOL}`)) as ShownPool | null;
      if (pool) {
        last = pool;
        for (const { id, health, reason, detail, sinceMs } of pool.backends) {
          if (since.has(id) && since.get(id) !== sinceMs)
            changes.push({ backend: id, health, reason, detail: detail ?? null, atMs: sinceMs });
          since.set(id, sinceMs);
        }
      }
      await sleep(LEDGER_MS);
    }
  };
  const following = Promise.all([...cluster.gateways.map(followGateway), followLedger()]);
  return {
    picked,
    changes,
    pool: () => last,
    held: () => [...held.values()].reduce((sum, n) => sum + n, 0),
    closely(wanted) {
      close = wanted;
    },
    async stop() {
      stopped = true;
      await following;
      client.close();
    },
  };
}

interface SeenPool extends GatewayView {
  picks: Record<string, number>;
}
