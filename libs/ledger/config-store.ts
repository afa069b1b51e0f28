// The applied configuration in Redis: read by everyone (libs/runtime/config-watch.ts), written by schedulers, here, and
// by the monitor that leads discovery (discovery-store.ts). A change names the version it was made from, so that of two
// made at once one is refused.
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type ConfigReader, createConfigReader, type StoredConfig } from "@evenkeel/runtime/config-watch.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createConfigFunctions } from "./config-functions.ts";

export type Application =
  | { ok: true; version: number }
  /** Another version is applied than the expected one; nothing changed. */
  | { ok: false; version: number };

/** @throws (each method) when Redis does not answer in time */
export interface ConfigStore extends ConfigReader {
  /**
   * Replaces what an operator wrote and tells everyone, atomically; what was found stays.
   * @param expectedVersion the document version it replaces; 0: there is none; null: whichever it is
   */
  apply(document: ConfigDocument, expectedVersion: number | null): Promise<Application>;
  /**
   * Puts back what Redis lost, as it was known: written and found, or what was written alone where Redis has later finds.
   * @param instead the version that is applied in its place; 0: none
   */
  restore(known: StoredConfig, instead: number, what: "all" | "written"): Promise<Application>;
  /** Applies where there is none. What a living scheduler still knows goes before a seed. */
  seed(document: ConfigDocument): Promise<Application>;
}

export function createConfigStore({ redis, prefix }: { redis: Redis; prefix: string }): ConfigStore {
  const functions = createConfigFunctions(redis);
  const key = configKey(prefix);
  const channel = eventChannel(prefix);
  const put = async (name: string, args: (string | number)[]) => {
    const [done, version] = (await functions.call(name, [key], [channel, ...args])) as [number, number];
    return { ok: done === 1, version };
  };
  return {
    ...createConfigReader(redis, prefix),
    apply: (document, expectedVersion) =>
      put("apply_config", [JSON.stringify(document), expectedVersion ?? "", 0]),
    restore({ written, documentVersion, seeded, discovered, version }, instead, what) {
      const found = what === "all" ? JSON.stringify(discovered) : "";
      const document = [JSON.stringify(written), documentVersion, seeded ? 1 : 0];
      return put("restore_config", [...document, found, instead, version]);
    },
    seed: (document) => put("apply_config", [JSON.stringify(document), 0, 1]),
  };
}
