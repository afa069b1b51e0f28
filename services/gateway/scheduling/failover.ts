// Which pool takes the requests of one that says where they go while it cannot (`failoverTo`). Decided from what this
// gateway knows of the pools, without asking anybody: away at once, and home again little by little, since whoever comes
// back has cold caches and as many clients waiting as before.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import { FAILOVER_DEPTH_MAX } from "@evenkeel/core/config/rules-failover.ts";
import type { FailoverObserver } from "./failover-observer.ts";

export interface Failover {
  /** Pools of a new configuration, all of them known to whoever tells whether they are able. */
  configure(pools: readonly Pool[]): void;
  /** Some pool is able now that was not, or the other way round. */
  changed(): void;
  /** The pool that takes the next request to that pool: mostly itself. */
  serving(pool: string): string;
  /** Whoever else is to be asked: the next one that is able, else the next one at all; null: it names nobody. */
  after(pool: string): string | null;
  /** Where its requests go now; null: nowhere else. */
  away(pool: string): string | null;
}

export interface FailoverOptions {
  /** Enough of its backends are ready. */
  able(pool: string): boolean;
  observer: FailoverObserver;
  /** ms, monotonic */
  clock(): number;
  /** 0 to below 1 */
  random(): number;
}

/** Of a pool that names another one. */
interface Way {
  pool: Pool;
  /** The pools that are asked, in order. */
  others: string[];
  able: boolean;
  /** Null: home. */
  to: string | null;
  /** From then on all of its requests come home; 0: they do already. */
  homeAtMs: number;
}

export function createFailover({ able, observer, clock, random }: FailoverOptions): Failover {
  let ways = new Map<string, Way>();

  const firstAble = (names: readonly string[]): string | null => names.find(able) ?? null;

  const decide = (way: Way) => {
    const { pool, others, to: before } = way;
    const wasAble = way.able;
    way.able = able(pool.name);
    way.to = way.able ? null : firstAble(others);
    if (way.able && !wasAble && before !== null) way.homeAtMs = clock() + pool.slowStart.windowMs;
    if (way.to !== before) observer.changed(pool, way.to, way.able);
  };

  /** Of the requests of a pool that is able again, whether this one is still served elsewhere. */
  const staysAway = (way: Way): boolean => {
    const leftMs = way.homeAtMs - clock();
    if (leftMs <= 0) {
      way.homeAtMs = 0;
      return false;
    }
    const { windowMs, fromPercent } = way.pool.slowStart;
    return random() >= Math.max(fromPercent / 100, 1 - leftMs / windowMs);
  };

  const counted = (from: string, to: string | null): string | null => {
    if (to !== null) observer.failedOver(from, to);
    return to;
  };

  return {
    configure(pools) {
      const byName = new Map(pools.map((pool) => [pool.name, pool]));
      const next = new Map<string, Way>();
      for (const pool of pools) {
        const others = wayOf(pool, byName);
        if (others.length === 0) continue;
        const known = ways.get(pool.name) ?? { able: true, to: null, homeAtMs: 0 };
        next.set(pool.name, { ...known, pool, others });
      }
      ways = next;
      observer.keep(new Map(ways.values().map(({ pool, others }) => [pool.name, others])));
      for (const way of ways.values()) decide(way);
    },
    changed() {
      for (const way of ways.values()) decide(way);
    },
    serving(pool) {
      const way = ways.get(pool);
      if (way === undefined || (way.to === null && way.homeAtMs === 0)) return pool;
      const to = way.to ?? (way.able && staysAway(way) ? firstAble(way.others) : null);
      return counted(pool, to) ?? pool;
    },
    after(pool) {
      const way = ways.get(pool);
      return way === undefined ? null : counted(pool, firstAble(way.others) ?? (way.others[0] as string));
    },
    away: (pool) => ways.get(pool)?.to ?? null,
  };
}

/** Of a configuration that was not checked a circle or an unknown name ends the way. */
function wayOf(pool: Pool, pools: ReadonlyMap<string, Pool>): string[] {
  const others: string[] = [];
  let name = pool.failoverTo;
  while (
    name !== null &&
    name !== pool.name &&
    others.length < FAILOVER_DEPTH_MAX &&
    !others.includes(name)
  ) {
    const next = pools.get(name);
    if (next === undefined) break;
    others.push(name);
    name = next.failoverTo;
  }
  return others;
}
