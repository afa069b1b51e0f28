// Follows the applied configuration: an event makes it quick, a poll makes it certain.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { validateConfig } from "@evenkeel/core/config/validate.ts";
import { configKey } from "./keys.ts";
import type { Log } from "./log.ts";
import type { Redis } from "./redis.ts";

const POLL_INTERVAL_MS = 1_000;
const PROBLEMS_LOGGED = 5;

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

/**
 * `onChange` runs for the first configuration and for every newer one that this release understands. One that it does
 * not was written by a newer release, or by no scheduler: it is logged once, and what is known stays.
 */
export function watchConfig(
  redis: Redis,
  prefix: string,
  log: Log,
  onChange: (config: AppliedConfig) => void,
): ConfigWatch {
  let current: AppliedConfig | null = null;
  let seen = 0;
  let reading = false;
  let again = false;

  const look = async () => {
    const version = Number(await redis.hget(configKey(prefix), "version")) || 0;
    if (version <= seen) return;
    const next = await readConfig(redis, prefix);
    if (!next || next.version <= seen) return;
    seen = next.version;
    const validation = validateConfig(next.document);
    if (validation.ok) {
      current = next;
      onChange(next);
    } else {
      const problems = validation.problems.slice(0, PROBLEMS_LOGGED);
      log.error({ version: seen, problems }, "configuration not understood, not applied");
    }
  };

  const refresh = async () => {
    again = reading;
    if (reading) return;
    reading = true;
    do {
      again = false;
      // Redis is away: that is said where its connection is watched.
      await look().catch((error) => log.debug({ reason: error.message }, "configuration not read"));
    } while (again);
    reading = false;
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

/** As it stands in Redis, perhaps not understood; null when there is none. @throws when Redis cannot be reached */
export async function readConfig(redis: Redis, prefix: string): Promise<AppliedConfig | null> {
  const [version, document, seeded] = await redis.hmget(configKey(prefix), "version", "document", "seeded");
  if (!version || !document) return null;
  return { version: Number(version), seeded: seeded === "1", document: parsed(document) as ConfigDocument };
}

/** What is not even JSON is a configuration that nobody understands. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
