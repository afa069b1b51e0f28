// Follows the applied configuration: an event makes it quick, a poll makes it certain.
import { type Discovered, withDiscovered } from "@evenkeel/core/config/discovered.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type Problem, validateConfig } from "@evenkeel/core/config/validate.ts";
import { configKey } from "./keys.ts";
import type { Log } from "./log.ts";
import type { Redis } from "./redis.ts";

const POLL_INTERVAL_MS = 1_000;
const PROBLEMS_LOGGED = 5;

/** As it stands in Redis, perhaps not understood. */
export interface StoredConfig {
  /** Rises with every change: of what an operator wrote, and of what was found. */
  version: number;
  /** Rises only with what an operator wrote: what a change of it is made from. */
  documentVersion: number;
  /** Put there by a scheduler that found none, not by an operator. */
  seeded: boolean;
  /** As an operator wrote it. */
  written: ConfigDocument;
  discovered: Discovered;
}

/** One that this release understands. */
export interface AppliedConfig extends StoredConfig {
  /** What to run on: as written, with what was found for its pools. */
  document: ConfigDocument;
}

/** @throws (each method) when Redis cannot be reached */
export interface ConfigReader {
  versions(): Promise<Pick<StoredConfig, "version" | "documentVersion">>;
  /** Null when there is none. What did not change since the last call is answered as the same object. */
  read(): Promise<StoredConfig | null>;
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
  onNotUnderstood: () => void = () => {},
): ConfigWatch {
  const reader = createConfigReader(redis, prefix);
  let current: AppliedConfig | null = null;
  let seen = 0;
  let reading = false;
  let again = false;

  const look = async () => {
    if ((await reader.versions()).version <= seen) return;
    const next = await reader.read();
    if (!next || next.version <= seen) return;
    seen = next.version;
    try {
      use(next);
    } catch (error) {
      log.error({ err: error, version: seen }, "configuration not applied: a fault of this release");
    }
  };

  const use = (next: StoredConfig) => {
    const understood = understand(next, current);
    if (understood.ok) {
      current = understood.config;
      onChange(current);
    } else {
      const problems = understood.problems.slice(0, PROBLEMS_LOGGED);
      log.error({ version: seen, problems }, "configuration not understood, not applied");
      onNotUnderstood();
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

export type Understanding = { ok: true; config: AppliedConfig } | { ok: false; problems: Problem[] };

/**
 * Judges what an operator wrote, unless it is what was understood before: a large one takes long, and what is found
 * changes often. @param known the last one that was understood
 */
export function understand(stored: StoredConfig, known: AppliedConfig | null): Understanding {
  if (stored.written !== known?.written) {
    const validation = validateConfig(stored.written);
    if (!validation.ok) return validation;
  }
  const document = withDiscovered(stored.written, stored.discovered);
  return { ok: true, config: { ...stored, document } };
}

export function createConfigReader(redis: Redis, prefix: string): ConfigReader {
  const key = configKey(prefix);
  const written = parsedOnce();
  const discovered = parsedOnce();
  return {
    async versions() {
      const [version, documentVersion] = await redis.hmget(key, "version", "documentVersion");
      return versionsOf(version, documentVersion);
    },
    async read() {
      const [version, documentVersion, seeded, document, found] = await redis.hmget(
        key,
        ...["version", "documentVersion", "seeded", "document", "discovered"],
      );
      if (!version || !document) return null;
      return {
        ...versionsOf(version, documentVersion),
        seeded: seeded === "1",
        written: written(document) as ConfigDocument,
        discovered: discoveredOf(discovered(found ?? "{}")),
      };
    },
  };
}

const versionsOf = (version: string | null | undefined, documentVersion: string | null | undefined) => ({
  version: Number(version) || 0,
  documentVersion: Number(documentVersion ?? version) || 0,
});

/** Nothing else is promised of what is inside: `withDiscovered` bears anything. */
const discoveredOf = (value: unknown): Discovered =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Discovered) : {};

/** Parses a text again only when it is another than the last. What is not even JSON is null. */
function parsedOnce(): (text: string) => unknown {
  let last = "null";
  let value: unknown = null;
  return (text) => {
    if (text === last) return value;
    last = text;
    value = parsed(text);
    return value;
  };
}

/** What is not even JSON is a configuration that nobody understands. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
