// When the reconciler runs: at once where an event or a new connection says so, and every second whatever they say.
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import type { ConfigStore } from "@evenkeel/ledger/config-store.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createReconciler, type Reconciler } from "./reconciler.ts";
import { readSeed } from "./seed.ts";

export interface FollowOptions {
  redis: Redis;
  /** A connection of `openSubscriber`; taken over. */
  events: Redis;
  prefix: string;
  configs: ConfigStore;
  ledger: Ledger;
  /** Hears of pools that changed, and of gaps in what was heard. */
  hints: { changed(pool: string): void; gap(): void };
  /** Name of the file to start from, "" for none. */
  seedFile: string;
  onReconciled(configVersion: number, pools: readonly string[]): void;
  log: Log;
}

export function followConfig(options: FollowOptions): Reconciler {
  const { redis, prefix, configs, ledger, hints, seedFile, onReconciled, log } = options;
  const reconciler = createReconciler({
    configs,
    ledger,
    seed: () => readSeed(seedFile),
    onReconciled({ version, document }) {
      log.info({ version, pools: document.pools.length }, "configuration reconciled");
      onReconciled(
        version,
        document.pools.map(({ name }) => name),
      );
    },
    onProblem: (error) => log.warn({ reason: error.message }, "configuration not reconciled"),
  });
  const { trigger } = reconciler;
  redis.on("ready", trigger);
  const bus = subscribeEvents(options.events, prefix, {
    onEvent(event) {
      if (event.type === "config") trigger();
      if (event.type === "pool") hints.changed(event.pool);
    },
    onGap() {
      trigger();
      hints.gap();
    },
  });
  return {
    ...reconciler,
    close() {
      reconciler.close();
      redis.off("ready", trigger);
      bus.close();
    },
  };
}
