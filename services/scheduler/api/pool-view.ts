// The pools as they are now, for people and their tools. It reads and sets modes over the connection for control
// traffic, so that it never stands in the way of decisions.
import type { Mode } from "@evenkeel/core/health/state.ts";
import type { Ledger, Rows } from "@evenkeel/core/ledger/ledger.ts";
import { type ShownBackend, type ShownPool, shownPool } from "@evenkeel/core/wire/shown-pool.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import { SchedulerError, viaRedis } from "../errors.ts";
import { askKnownPool, type Restore } from "../reconcile/known-pool.ts";

/** Pools read at the same time: fewer round trips, without filling Redis's queue. */
const READ_AT_ONCE = 16;

/** @throws (each method) SchedulerError `redis_unavailable`; where a pool is named `unknown_pool` */
export interface PoolView {
  list(): Promise<ShownPool[]>;
  read(pool: string): Promise<ShownPool>;
  rows(pool: string): Promise<Rows>;
  /** Answers the backend as it is then. @throws also `unknown_backend` */
  setMode(pool: string, backend: string, mode: Mode): Promise<ShownBackend>;
}

export interface PoolViewOptions {
  ledger: Pick<Ledger, "read" | "rows" | "setMode">;
  configs: Pick<ConfigStore, "read">;
  restore: Restore;
}

export function createPoolView({ ledger, configs, restore }: PoolViewOptions): PoolView {
  const read = async (pool: string) =>
    shownPool(await viaRedis(askKnownPool(pool, restore, () => ledger.read(pool))));

  const readIfThere = (pool: string) =>
    read(pool).catch((error: SchedulerError) => {
      if (error.code === "unknown_pool") return null; // removed meanwhile
      throw error;
    });

  return {
    read,
    async list() {
      const names = (await viaRedis(configs.read()))?.written.pools.map(({ name }) => name) ?? [];
      const states: (ShownPool | null)[] = [];
      for (let i = 0; i < names.length; i += READ_AT_ONCE) {
        states.push(...(await Promise.all(names.slice(i, i + READ_AT_ONCE).map(readIfThere))));
      }
      return states.filter((state) => state !== null);
    },
    rows: (pool) => viaRedis(ledger.rows(pool)),
    async setMode(pool, id, mode) {
      await viaRedis(askKnownPool(pool, restore, () => ledger.setMode(pool, id, mode)));
      const backend = (await read(pool)).backends.find((b) => b.id === id);
      if (backend) return backend;
      throw new SchedulerError("unknown_backend", `pool "${pool}" has no backend "${id}"`);
    },
  };
}
