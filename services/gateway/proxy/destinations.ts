// Which pool, or which backend of it, a request of a route goes to, as things stand. Where neither a pool nor the route
// names anybody to fall back on, that is the same one each time, and costs nothing.
import type { ProxiedRoute } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import { compileSplit } from "../routing/split.ts";
import type { Scheduling } from "../scheduling/scheduling.ts";
import type { Arrival } from "./arrival.ts";
import type { PoolRules } from "./pool-rules.ts";

/** What this gateway knows of pools. */
export type Readiness = Pick<Scheduling, "serving" | "after" | "ready">;

/** Who serves a request. */
export interface Destination {
  pool: PoolRules;
  /** The one backend that is bound to serve it, whatever its health; null: any of the pool. */
  held: string | null;
  /** Hybrid: the static backend and its bound. */
  prefer: Want | null;
  /** Where the request goes when nobody here can take it; null: nowhere. */
  next: (() => Destination | null) | null;
  /** Set-Cookie that keeps the client with this pool; null: nothing to say. */
  cookie: string | null;
}

export interface DestinationOptions {
  pools: ReadonlyMap<string, PoolRules>;
  /** What a hybrid route asks of the ledger. */
  preferOf: (route: ProxiedRoute) => Want | null;
  scheduling: Readiness;
  /** 0 to below 1 */
  random: () => number;
}

/** Null: the pool is not known. */
export function compileDestination(
  route: ProxiedRoute,
  options: DestinationOptions,
): (arrival: Arrival) => Destination | null {
  const only = options.pools.get(route.pool);
  if (route.split !== null) return compileSplits(route.split, options);
  if (only === undefined) return () => null;
  switch (route.proxy) {
    case "static":
      return compileStatic(route, only, options);
    case "hybrid":
      return compileHybrid(route, only, options);
    case "dynamic":
      return compileDynamic(only, null, options);
  }
}

function compileSplits(split: NonNullable<ProxiedRoute["split"]>, options: DestinationOptions) {
  const choose = compileSplit(split, options.random);
  return ({ head }: Arrival): Destination | null => {
    const { pool: name, cookie } = choose(head.fields);
    const pool = options.pools.get(name);
    if (pool === undefined) return null;
    const home = anyOf(pool, cookie, options);
    return pool.settings.failoverTo === null ? home : serving(home, options);
  };
}

/** @param last asked when nobody there, or after them, can take it; null: nobody is */
const anyOf = (
  pool: PoolRules,
  cookie: string | null,
  options: DestinationOptions,
  last: Destination | null = null,
): Destination => ({
  ...{ pool, cookie, held: null, prefer: null },
  next: pool.settings.failoverTo === null ? last && (() => last) : () => after(pool, cookie, options, last),
});

function after(
  { name }: PoolRules,
  cookie: string | null,
  options: DestinationOptions,
  last: Destination | null,
): Destination | null {
  const pool = options.pools.get(options.scheduling.after(name) ?? "");
  return pool === undefined ? last : anyOf(pool, cookie, options, last);
}

/** Its pool, or the one that takes over for it; whose requests come home, though, before they are refused. */
function serving(home: Destination, options: DestinationOptions): Destination {
  const { name } = home.pool;
  const other = options.scheduling.serving(name);
  const pool = other === name ? undefined : options.pools.get(other);
  return pool === undefined ? home : anyOf(pool, home.cookie, options, { ...home, next: null });
}

function compileDynamic(
  pool: PoolRules,
  prefer: Destination["prefer"],
  options: DestinationOptions,
): () => Destination {
  const home = { ...anyOf(pool, null, options), prefer };
  return pool.settings.failoverTo === null ? () => home : () => serving(home, options);
}

/** At home while its static backend is ready, however the others are. */
function compileHybrid(route: ProxiedRoute, pool: PoolRules, options: DestinationOptions): () => Destination {
  const home = { ...anyOf(pool, null, options), prefer: options.preferOf(route) };
  const { backend } = route;
  if (pool.settings.failoverTo === null || backend === null) return () => home;
  return () => (options.scheduling.ready(pool.name, backend) ? home : serving(home, options));
}

/** With `failover` anybody's while its backend is not ready, and wherever that one fails it. */
function compileStatic(
  { backend, failover }: ProxiedRoute,
  pool: PoolRules,
  options: DestinationOptions,
): () => Destination {
  const bound: Destination = { pool, cookie: null, held: backend, prefer: null, next: null };
  if (!failover || backend === null) return () => bound;
  const anybody = compileDynamic(pool, null, options);
  bound.next = anybody;
  return () => (options.scheduling.ready(pool.name, backend) ? bound : anybody());
}
