// The applied configuration in Redis: read by everyone (libs/runtime/config-watch.ts), written only here, and only by
// schedulers. A change names the version it was made from, so that of two made at once one is refused.
import { readFileSync } from "node:fs";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type AppliedConfig, readConfig } from "@evenkeel/runtime/config-watch.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createFunctions } from "./functions.ts";

const SOURCE = readFileSync(new URL("./lua/config.lua", import.meta.url), "utf8");

export type Application =
  | { ok: true; version: number }
  /** Another version is applied than the expected one; nothing changed. */
  | { ok: false; version: number };

/** @throws (each method) when Redis does not answer in time */
export interface ConfigStore {
  /** 0 when no configuration is applied. */
  version(): Promise<number>;
  read(): Promise<AppliedConfig | null>;
  /**
   * Replaces the configuration and tells everyone, atomically.
   * @param expectedVersion the version it replaces; 0: there is none; null: whichever it is
   * @param seenVersion the new version rises above this one too, though Redis may have forgotten it
   */
  apply(document: ConfigDocument, expectedVersion: number | null, seenVersion?: number): Promise<Application>;
  /** Applies where there is none. What a living scheduler still knows goes before a seed. */
  seed(document: ConfigDocument): Promise<Application>;
}

export function createConfigStore({ redis, prefix }: { redis: Redis; prefix: string }): ConfigStore {
  const functions = createFunctions(redis, SOURCE);
  const key = configKey(prefix);
  const put = async (document: ConfigDocument, expected: number | "", seen: number, seeded: 0 | 1) => {
    const args = [eventChannel(prefix), JSON.stringify(document), expected, seen, seeded];
    const [done, version] = (await functions.call("apply_config", [key], args)) as [number, number];
    return { ok: done === 1, version };
  };
  return {
    version: async () => Number(await redis.hget(key, "version")) || 0,
    read: () => readConfig(redis, prefix),
    apply: (document, expectedVersion, seenVersion = 0) =>
      put(document, expectedVersion ?? "", seenVersion, 0),
    seed: (document) => put(document, 0, 0, 1),
  };
}
