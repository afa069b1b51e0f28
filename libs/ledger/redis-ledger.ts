// The ledger on Redis: every method is one call of a function in lua/functions.lua, hence atomic.
import { readFileSync } from "node:fs";
import type {
  BackendState,
  Finding,
  Ledger,
  PoolFacts,
  PoolState,
  Rows,
  SettleResult,
  Statement,
  Transition,
} from "@evenkeel/core/ledger/ledger.ts";
import { eventChannel } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createFunctions } from "./functions.ts";
import { poolKeys, rowPrefix } from "./keys.ts";

/** Redis takes a library as one text; each part sees what those before it define. */
const PARTS = ["header", "commands", "pool", "index", "health", "rows", "picks", "functions"];
const textOf = (part: string) => readFileSync(new URL(`./lua/${part}.lua`, import.meta.url), "utf8");
const SOURCE = PARTS.map(textOf).join("\n");

/** Keys of one pool, spelled once; dropped all together past this many pools. */
const KEY_CACHE_MAX = 10_000;

export interface RedisLedgerOptions {
  redis: Redis;
  prefix: string;
  /** ms since the epoch; only for tests. Without it Redis's own clock counts. */
  clock?: () => number;
}

/** @throws (each method) when Redis does not answer in time or refuses */
export function createRedisLedger({ redis, prefix, clock }: RedisLedgerOptions): Ledger {
  const functions = createFunctions(redis, SOURCE);
  const channel = eventChannel(prefix);
  const cache = new Map<string, string[]>();

  const keysOf = (pool: string): string[] => {
    let keys = cache.get(pool);
    if (!keys) {
      if (cache.size >= KEY_CACHE_MAX) cache.clear();
      keys = poolKeys(prefix, pool);
      cache.set(pool, keys);
    }
    return keys;
  };

  const call = async (name: string, pool: string, ...args: string[]): Promise<string> => {
    const now = clock ? String(clock()) : "";
    const head = [rowPrefix(prefix, pool), channel, pool, now];
    return (await functions.call(name, keysOf(pool), [...head, ...args])) as string;
  };

  return {
    async settle(pool: string, statements: readonly Statement[]) {
      const text = await call("settle", pool, JSON.stringify(statements));
      return text === "" ? null : settled(JSON.parse(text));
    },
    async configure(facts: PoolFacts) {
      return Number(await call("configure", facts.pool, JSON.stringify(facts)));
    },
    async observe(pool: string, findings: readonly Finding[]) {
      const text = await call("observe", pool, JSON.stringify(findings));
      return text === "" ? null : (JSON.parse(text) as Transition[]);
    },
    async setMode(pool, backend, mode) {
      const text = await call("set_mode", pool, backend, mode);
      return text === "" ? null : text === "1";
    },
    async read(pool) {
      const text = await call("read", pool);
      return text === "" ? null : poolState(pool, JSON.parse(text));
    },
    async rows(pool) {
      return JSON.parse(await call("rows", pool)) as Rows;
    },
    async remove(pool, configVersion) {
      await call("remove", pool, String(configVersion));
    },
  };
}

/** Lua has one kind of table, so an empty list comes as `{}`. */
const list = <T>(value: T[] | Record<string, never>): T[] => (Array.isArray(value) ? value : []);

function settled(result: SettleResult): SettleResult {
  for (const reply of result.replies) reply.picks = list(reply.picks);
  return result;
}

type RawBackend = Omit<BackendState, "ready" | "ewmaMs"> & { ewmaUs: number };
type RawPool = Omit<PoolState, "pool" | "backends"> & { backends: RawBackend[] };

function poolState(pool: string, raw: RawPool): PoolState {
  const backends = list(raw.backends).map(backendState);
  backends.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { pool, version: raw.version, policy: raw.policy, panic: raw.panic, backends };
}

const backendState = ({ ewmaUs, ...raw }: RawBackend): BackendState => ({
  ...raw,
  ready: raw.mode === "active" && raw.health === "healthy",
  ewmaMs: ewmaUs === 0 ? null : ewmaUs / 1_000,
});
