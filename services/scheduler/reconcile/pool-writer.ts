// Makes the ledger's pools equal to a configuration. Where only what was found has changed, pools that are as this process
// put them before are passed over: in a large cluster one backend that comes must not have a thousand pools indexed anew.
import { type Pool, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { AppliedConfig } from "@evenkeel/runtime/config-watch.ts";
import { poolFacts } from "./facts.ts";

/** Pools configured at the same time: fewer round trips, and decisions still get their turn in between. */
const CONFIGURED_AT_ONCE = 16;

export interface PoolWriter {
  /**
   * Puts the pools into the ledger and takes out those that are gone.
   * @param what `changed` passes over pools that are as this process put them last
   * @throws when Redis does not answer in time; what was done counts
   */
  write(config: AppliedConfig, what: "all" | "changed"): Promise<void>;
  /** One pool, whatever was put before. False: the configuration has no such pool. */
  writeOne(config: AppliedConfig, name: string): Promise<boolean>;
  /** Whether pools were passed over since all were written. */
  readonly passedOver: boolean;
}

export function createPoolWriter(ledger: Pick<Ledger, "configure" | "remove">): PoolWriter {
  /** Pools this process put into the ledger, and therefore has to take out; and what it put, as one text. */
  const put = new Map<string, string>();
  let passedOver = false;

  const writePool = async (pool: Pool, version: number, text = textOf(pool)) => {
    await ledger.configure(poolFacts(pool, version));
    put.set(pool.name, text);
  };

  return {
    get passedOver() {
      return passedOver;
    },
    async write({ version, document }, what) {
      const { pools } = resolveConfig(document);
      const wanted = pools.map((pool) => ({ pool, text: textOf(pool) }));
      const due = what === "all" ? wanted : wanted.filter(({ pool, text }) => put.get(pool.name) !== text);
      for (let i = 0; i < due.length; i += CONFIGURED_AT_ONCE) {
        const some = due.slice(i, i + CONFIGURED_AT_ONCE);
        await Promise.all(some.map(({ pool, text }) => writePool(pool, version, text)));
      }
      const names = new Set(pools.map(({ name }) => name));
      for (const name of [...put.keys()].filter((one) => !names.has(one))) {
        await ledger.remove(name, version);
        put.delete(name);
      }
      passedOver = due.length < wanted.length || (what === "changed" && passedOver);
    },
    async writeOne({ version, document }, name) {
      const pool = resolveConfig(document).pools.find((one) => one.name === name);
      if (!pool) return false;
      await writePool(pool, version);
      return true;
    },
  };
}

const textOf = (pool: Pool): string => JSON.stringify(poolFacts(pool, 0));
