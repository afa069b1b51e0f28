// Scheduling for all pools of this gateway: a pool client each, one heartbeat for all of them.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import { createObservers } from "./observer.ts";
import { PoolClient } from "./pool-client.ts";
import { createSchedulers } from "./schedulers.ts";
import type { Scheduling } from "./scheduling.ts";

/** Well inside the 3 s after which a silent gateway is taken for dead. */
const HEARTBEAT_MS = 1_000;

export interface SchedulingOptions {
  gatewayId: string;
  schedulers: () => readonly string[];
  token: string;
  metrics: Metrics;
  log: Log;
  /** Monotonic, ms. */
  clock: () => number;
  random: () => number;
}

export interface EventedScheduling extends Scheduling {
  onEvent(event: Event): void;
  /** Events may have been lost: read every pool again. */
  onGap(): void;
}

export function createScheduling(options: SchedulingOptions): EventedScheduling {
  const { gatewayId, clock, random } = options;
  const schedulers = createSchedulers({ urls: options.schedulers, token: options.token, clock });
  const observerOf = createObservers(options.metrics, options.log);
  const pools = new Map<string, PoolClient>();
  const clientOf = (pool: Pool) =>
    new PoolClient({ gatewayId, pool, schedulers, clock, random, observer: observerOf(pool.name) });
  const beatAll = () => {
    for (const client of pools.values()) client.beat();
  };
  const heartbeat = setInterval(beatAll, HEARTBEAT_MS);

  return {
    acquire(pool, exclude, done) {
      const client = pools.get(pool);
      if (client) client.acquire(exclude, done);
      else done(null);
    },
    hold: (pool, backend) => pools.get(pool)?.hold(backend) ?? null,
    release: (pick, outcome, ttfbMs) => pools.get(pick.pool)?.release(pick, outcome, ttfbMs),
    setPools(next) {
      const names = new Set(next.map((pool) => pool.name));
      for (const [name, client] of pools) {
        if (names.has(name)) continue;
        pools.delete(name);
        void client.stop();
      }
      for (const pool of next) {
        const client = pools.get(pool.name);
        if (client) client.configure(pool);
        else pools.set(pool.name, clientOf(pool));
      }
      beatAll();
    },
    onEvent(event) {
      if (event.type === "pool") pools.get(event.pool)?.onEvent(event);
    },
    onGap: beatAll,
    view: () => [...pools.values()].map((client) => client.view()),
    async stop() {
      clearInterval(heartbeat);
      await Promise.all([...pools.values()].map((client) => client.stop()));
      await schedulers.close();
    },
  };
}
