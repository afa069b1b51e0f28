// The ledger on Redis: every method is one call of a function in lua/functions.lua, hence atomic.
import { tidied } from "@evenkeel/core/ledger/agent.ts";
import type { Ledger, LedgerEvent, Observation, Rows } from "@evenkeel/core/ledger/ledger.ts";
import { eventChannel } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { decodeReplies, decodeState, encodeFacts, encodeStatements } from "./encoding.ts";
import { createFunctions } from "./functions.ts";
import { callKeys, poolKey } from "./keys.ts";
import { ledgerLibrary } from "./library.ts";

const SOURCE = ledgerLibrary();

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

  const call = async (name: string, pool: string, ...args: string[]): Promise<string> => {
    const now = clock ? String(clock()) : "";
    return (await functions.call(name, callKeys(prefix, pool), [channel, pool, now, ...args])) as string;
  };

  return {
    async settle(pool, statements) {
      const text = await call("settle", pool, ...encodeStatements(statements));
      return text === "" ? null : decodeReplies(text, statements);
    },
    async configure(facts) {
      return Number(await call("configure", facts.pool, ...encodeFacts(facts)));
    },
    async observe(pool, findings) {
      const text = await call("observe", pool, JSON.stringify(findings.map(tidied)));
      return text === "" ? null : (JSON.parse(text) as Observation);
    },
    async setMode(pool, backend, mode) {
      const text = await call("set_mode", pool, backend, mode);
      return text === "" ? null : text === "1";
    },
    async read(pool) {
      const text = await call("read", pool);
      return text === "" ? null : decodeState(pool, text);
    },
    async rows(pool) {
      return JSON.parse(await call("rows", pool)) as Rows;
    },
    async events(pool, after, most) {
      const from = after === null ? "-" : `(${after}`;
      const entries = await redis.xrange(poolKey(prefix, pool, "events"), from, "+", "COUNT", most);
      return entries.map(([id, [, text]]) => ({ id, event: JSON.parse(text as string) as LedgerEvent }));
    },
    async remove(pool, configVersion) {
      await call("remove", pool, String(configVersion));
    },
  };
}
