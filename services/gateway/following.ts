// Keeps the gateway on the newest configuration and tells scheduling what happens to its pools.
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { validateConfig } from "@evenkeel/core/config/validate.ts";
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
  let unreadable = "";
  const serving = Promise.withResolvers<void>();

  const apply = async ({ version, document }: AppliedConfig) => {
    const validation = validateConfig(document);
    if (!validation.ok) {
      // Whoever wrote it is newer than this gateway, or no scheduler. What is served now goes on being served.
      log.error(
        { version, problems: validation.problems.slice(0, 5) },
        "configuration not understood, not applied",
      );
      return;
    }
    const errors = await dataPath.configure(resolveConfig(document));
    log.info({ version, listeners: dataPath.listeners() }, "configuration applied");
    for (const error of errors) log.error({ reason: error.message }, "listener not open");
    if (errors[0]) serving.reject(errors[0]);
    else serving.resolve();
  };

  const notRead = (error: Error) => {
    // Redis is away: said where it is noticed. Anything else is said once.
    const level = error instanceof SyntaxError && error.message !== unreadable ? "error" : "debug";
    if (error instanceof SyntaxError) unreadable = error.message;
    log[level]({ reason: error.message }, "configuration not read");
  };
  const config = watchConfig(
    redis,
    prefix,
    (applied) => void apply(applied).catch((error) => log.error({ err: error }, "configuration not applied")),
    notRead,
  );
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
