// What was found of pools at run time, in Redis beside the configuration, and who may say so: one member at a time, which
// leads as long as it says so again in time.
import { type Discovered, inOrder } from "@evenkeel/core/config/discovered.ts";
import { createConfigReader } from "@evenkeel/runtime/config-watch.ts";
import { configKey, eventChannel } from "@evenkeel/runtime/keys.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createConfigFunctions } from "./config-functions.ts";

/** @throws (each method) when Redis does not answer in time */
export interface DiscoveryStore {
  /**
   * Takes the lead where nobody has it, or keeps it. True: this member leads for `ttlMs` from now, by Redis's clock.
   * Nobody leads while no configuration is applied.
   */
  lead(member: string, ttlMs: number): Promise<boolean>;
  /** So that another may lead at once. */
  resign(member: string): Promise<void>;
  read(): Promise<Discovered>;
  /** Replaces all that was found, and tells everyone, if that changes anything and this member leads. */
  publish(member: string, discovered: Discovered): Promise<"published" | "unchanged" | "not-leading">;
}

export function createDiscoveryStore({ redis, prefix }: { redis: Redis; prefix: string }): DiscoveryStore {
  const functions = createConfigFunctions(redis);
  const reader = createConfigReader(redis, prefix);
  const keys = [configKey(prefix)];
  return {
    lead: async (member, ttlMs) => (await functions.call("lead_discovery", keys, [member, ttlMs])) === 1,
    async resign(member) {
      await functions.call("resign_discovery", keys, [member]);
    },
    read: async () => (await reader.read())?.discovered ?? {},
    async publish(member, discovered) {
      const args = [eventChannel(prefix), member, JSON.stringify(inOrder(discovered))];
      const done = await functions.call("publish_discovered", keys, args);
      if (done === 1) return "published";
      return done === 0 ? "unchanged" : "not-leading";
    },
  };
}
