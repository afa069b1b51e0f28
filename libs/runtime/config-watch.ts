// Follows the applied configuration: an event makes it quick, a poll makes it certain.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { configKey } from "./keys.ts";
import type { Redis } from "./redis.ts";

const POLL_INTERVAL_MS = 1_000;

export interface AppliedConfig {
  version: number;
  /** Put there by a scheduler that found none, not by an operator. */
  seeded: boolean;
  document: ConfigDocument;
}

export interface ConfigWatch {
  /** The newest configuration seen, null until the first one; kept while Redis is away. */
  readonly current: AppliedConfig | null;
  /** Look now: an event said so, or the connection is new. */
  refresh(): void;
  close(): void;
}

/** `onChange` runs for the first configuration and for every newer one. */
export function watchConfig(
  redis: Redis,
  prefix: string,
  onChange: (config: AppliedConfig) => void,
  onError: (error: Error) => void,
): ConfigWatch {
  let current: AppliedConfig | null = null;
  let reading = false;
  let again = false;

  const refresh = async () => {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      do {
        again = false;
        const version = Number(await redis.hget(configKey(prefix), "version")) || 0;
        if (version <= (current?.version ?? 0)) continue;
        const next = await readConfig(redis, prefix);
        if (!next || next.version <= (current?.version ?? 0)) continue;
        current = next;
        onChange(next);
      } while (again);
    } catch (error) {
      onError(error as Error);
    } finally {
      reading = false;
    }
  };

  redis.on("ready", refresh);
  const timer = setInterval(refresh, POLL_INTERVAL_MS);
  void refresh();
  return {
    get current() {
      return current;
    },
    refresh: () => void refresh(),
    close() {
      clearInterval(timer);
      redis.off("ready", refresh);
    },
  };
}

/** The applied configuration, null when there is none. @throws when Redis cannot be reached */
export async function readConfig(redis: Redis, prefix: string): Promise<AppliedConfig | null> {
  const [version, document, seeded] = await redis.hmget(configKey(prefix), "version", "document", "seeded");
  if (!version || !document) return null;
  return {
    version: Number(version),
    seeded: seeded === "1",
    document: JSON.parse(document) as ConfigDocument,
  };
}
