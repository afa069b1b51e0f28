// Redis Functions libraries by content: `@version@` in a source becomes a digest of that source, in the library's
// name and in every function's. Schedulers of different releases therefore never replace each other's functions,
// and a server that lost them (restart without persistence, failover) gets them back on the next call.
import { createHash } from "node:crypto";
import type { Redis } from "@evenkeel/runtime/redis.ts";

export interface Functions {
  /**
   * Calls a function, loading the library first where it is missing (it has not run then, so calling again is safe).
   * @throws whatever Redis answers, or that it did not answer in time
   */
  call(name: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Loads the library where it is missing. */
  load(): Promise<void>;
  readonly version: string;
}

export function createFunctions(redis: Redis, source: string): Functions {
  const version = createHash("sha256").update(source).digest("hex").slice(0, 12);
  const code = source.replaceAll("@version@", version);

  const load = async () => {
    try {
      await redis.function("LOAD", code);
    } catch (error) {
      if (!(error as Error).message.includes("already exists")) throw error;
    }
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
