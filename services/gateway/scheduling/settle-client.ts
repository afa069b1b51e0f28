// Scheduling for all pools of this gateway: a pool client each, one heartbeat for all of them.
import type { Event } from "@evenkeel/core/wire/events.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { LATENCY_BUCKETS, type Metrics } from "@evenkeel/runtime/metrics.ts";
import { createPoolClient, type Observer, type PoolClient } from "./pool-client.ts";
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
  const observe = createObserver(options);
  const pools = new Map<string, PoolClient>();
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
        else pools.set(pool.name, createPoolClient({ gatewayId, pool, schedulers, clock, random, observe }));
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

function createObserver({ metrics, log }: SchedulingOptions): Observer {
  const decisions = metrics.counter("evenkeel_gateway_decisions_total", "Picks by who made them", [
    "pool",
    "source",
  ]);
  const settles = metrics.histogram(
    "evenkeel_gateway_settle_seconds",
    "From statement sent to answer",
    LATENCY_BUCKETS,
    ["pool"],
  );
  const failures = metrics.counter("evenkeel_gateway_settle_failures_total", "Settles without an answer", [
    "pool",
  ]);
  const overdue = metrics.counter(
    "evenkeel_gateway_settles_overdue_total",
    "Settles that requests did not wait for to the end",
    ["pool"],
  );
  const fallback = metrics.gauge(
    "evenkeel_gateway_fallback",
    "1 while this gateway picks by itself because no scheduler answers",
    ["pool"],
  );
  const panics = metrics.gauge(
    "evenkeel_gateway_panic",
    "1 while more than half of a pool is unhealthy and every active backend is used",
    ["pool"],
  );
  return {
    decided: (pool, source) => decisions.inc({ pool, source }),
    settled: (pool, durationMs) => settles.observe({ pool }, durationMs / 1_000),
    failed(pool, reason) {
      failures.inc({ pool });
      log.debug({ pool, reason }, "settle failed");
    },
    overdue: (pool) => overdue.inc({ pool }),
    deciding: (pool, by) => fallback.set({ pool }, by === "fallback" ? 1 : 0),
    trouble(pool, reason) {
      if (reason !== null) log.warn({ pool, reason }, "picking by itself until a scheduler answers");
      else log.info({ pool }, "a scheduler answers again");
    },
    panic(pool, on) {
      panics.set({ pool }, on ? 1 : 0);
      if (on) log.warn({ pool }, "panic: more than half of the pool is unhealthy, using all of it");
      else log.info({ pool }, "panic is over");
    },
  };
}
