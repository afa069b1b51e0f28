// Keeps the gateway on the newest configuration and tells scheduling what happens to its pools.
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { type AppliedConfig, watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import type { DataPath } from "./data-path.ts";
import type { EventedScheduling } from "./scheduling/settle-client.ts";

export interface FollowingOptions {
  redis: Redis;
  /** A connection of its own for events. */
  subscriber: Redis;
  prefix: string;
  dataPath: DataPath;
  scheduling: EventedScheduling;
  log: Log;
}

export interface Following {
  /** Settles with the first configuration; rejects when a listener of it cannot be opened. */
  serving: Promise<void>;
  close(): void;
}

export function followConfig(options: FollowingOptions): Following {
  const { redis, subscriber, prefix, dataPath, scheduling, log } = options;
  const serving = Promise.withResolvers<void>();

  const apply = async ({ version, document }: AppliedConfig) => {
    const errors = await dataPath.configure(resolveConfig(document));
    log.info({ version, listeners: dataPath.listeners() }, "configuration applied");
    for (const error of errors) log.error({ reason: error.message }, "listener not open");
    if (errors[0]) serving.reject(errors[0]);
    else serving.resolve();
  };

  const config = watchConfig(redis, prefix, log, (applied) => {
    apply(applied).catch((error) => log.error({ err: error }, "configuration not applied"));
  });
  const events = subscribeEvents(subscriber, prefix, {
    onEvent(event) {
      scheduling.onEvent(event);
      if (event.type === "config") config.refresh();
    },
    onGap() {
      scheduling.onGap();
      config.refresh();
    },
  });
  return {
    serving: serving.promise,
    close() {
      events.close();
      config.close();
    },
  };
}
