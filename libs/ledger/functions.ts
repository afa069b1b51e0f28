// Redis Functions libraries by content: `@version@` in a source becomes a digest of that source, in the library's
// name and in every function's. Schedulers of different releases therefore never replace each other's functions,
// and a server that lost them (restart without persistence, failover), or never had them (a master that joined a
// cluster), gets them on the next call.
import { createHash } from "node:crypto";
import { mastersOf, type Redis } from "@evenkeel/runtime/redis.ts";

export interface Functions {
  /**
   * Calls a function, loading the library first where it is missing (it has not run then, so calling again is safe).
   * @throws whatever Redis answers, or that it did not answer in time
   */
  call(name: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Loads the library into every master that lacks it. @throws when that succeeds with none */
  load(): Promise<void>;
  readonly version: string;
}

export function createFunctions(redis: Redis, source: string): Functions {
  const version = createHash("sha256").update(source).digest("hex").slice(0, 12);
  const code = source.replaceAll("@version@", version);

  const loadInto = async (server: Redis) => {
    try {
      await server.function("LOAD", code);
    } catch (error) {
      if (!(error as Error).message.includes("already exists")) throw error;
    }
  };
  // One master that is away must not keep the others, one of which may be the one that is asked, from having it.
  const load = async () => {
    const loads = await Promise.allSettled(mastersOf(redis).map(loadInto));
    const failed = loads.filter((load) => load.status === "rejected");
    if (failed.length === loads.length) throw failed[0]?.reason ?? new Error("no Redis master is known");
  };

  return {
    version,
    load,
    async call(name, keys, args) {
      const full = `${name}_${version}`;
      try {
        return await redis.fcall(full, keys.length, ...keys, ...args);
      } catch (error) {
        if (!(error as Error).message.includes("Function not found")) throw error;
        await load();
        return redis.fcall(full, keys.length, ...keys, ...args);
      }
    },
  };
}
