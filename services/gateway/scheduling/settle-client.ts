// Scheduling for all pools of this gateway: a pool client each, one heartbeat for all of them.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import { createEndOfTurn } from "./end-of-turn.ts";
import { createFailover } from "./failover.ts";
import { createFailoverObserver } from "./failover-observer.ts";
import { createObservers } from "./observer.ts";
import { type OwnedPick, PoolClient } from "./pool-client.ts";
import { createSchedulers } from "./schedulers.ts";
import type { Scheduling } from "./scheduling.ts";

/** Of each pool; well inside the 3 s after which a silent gateway is taken for dead. */
const HEARTBEAT_MS = 1_000;
/** Pools beat spread over the heartbeat, so that many of them are not many settles at once. */
const HEARTBEAT_SLICES = 20;

export interface SchedulingOptions {
  gatewayId: string;
  schedulers: () => readonly string[];
  token: string;
  metrics: Metrics;
  log: Log;
  /** Monotonic, ms. */
  clock: () => number;
  /** ms since the epoch */
  now: () => number;
  random: () => number;
}

export interface EventedScheduling extends Scheduling {
  onEvent(event: Event): void;
  /** Events may have been lost: read every pool again. */
  onGap(): void;
}

export function createScheduling(options: SchedulingOptions): EventedScheduling {
  const { gatewayId, token, clock, now, random, log } = options;
  const schedulers = createSchedulers({ urls: options.schedulers, token, clock, log });
  const endOfTurn = createEndOfTurn();
  const observerOf = createObservers(options.metrics, log);
  const pools = new Map<string, PoolClient>();
  const failover = createFailover({
    able: (pool) => pools.get(pool)?.able ?? false,
    observer: createFailoverObserver(options.metrics, log),
    ...{ clock, random },
  });
  let generation = 0;
  const clientOf = (pool: Pool) => {
    // A pool that was removed and made again gets a row of its own: the old one's numbers must not outrank its.
    const ownId = generation === 1 ? gatewayId : `${gatewayId}.${generation}`;
    const observer = observerOf(pool.name);
    return new PoolClient({
      ...{ gatewayId: ownId, pool, schedulers, endOfTurn, clock, now, random, observer },
      onAble: failover.changed,
    });
  };
  const rereadAll = () => {
    for (const client of pools.values()) client.reread();
  };
  let slice = 0;
  const beatSlice = () => {
    slice = (slice + 1) % HEARTBEAT_SLICES;
    let i = 0;
    for (const client of pools.values()) if (i++ % HEARTBEAT_SLICES === slice) client.beat();
  };
  const heartbeat = setInterval(beatSlice, HEARTBEAT_MS / HEARTBEAT_SLICES);

  return {
    acquire(pool, want, done) {
      const client = pools.get(pool);
      if (client) client.acquire(want, done);
      else done(null);
    },
    serving: failover.serving,
    after: failover.after,
    ready: (pool, backend) => pools.get(pool)?.ready(backend) ?? false,
    hold: (pool, backend) => pools.get(pool)?.hold(backend) ?? null,
    release: (pick, outcome, ttfbMs) => (pick as OwnedPick).owner.release(pick, outcome, ttfbMs),
    report: (pick, metrics) => (pick as OwnedPick).owner.report(pick, metrics),
    setPools(next) {
      generation += 1;
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
      failover.configure(next);
      rereadAll();
    },
    onEvent(event) {
      if (event.type === "pool") pools.get(event.pool)?.onEvent(event);
    },
    onGap: rereadAll,
    view: () => [...pools].map(([name, client]) => ({ ...client.view(), failover: failover.away(name) })),
    async stop() {
      clearInterval(heartbeat);
      await Promise.all([...pools.values()].map((client) => client.stop()));
      schedulers.close();
    },
  };
}
