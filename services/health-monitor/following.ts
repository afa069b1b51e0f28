// Keeps a monitor's three works on the newest configuration, and tells them what happens in the cluster.
import { type Config, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import { type AppliedConfig, type ConfigWatch, watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

export interface FollowingOptions {
  redis: Redis;
  /** Taken over. */
  subscriber: Redis;
  prefix: string;
  log: Log;
  sweeping: { configure(pools: Config["pools"]): void };
  discovery: {
    configure(applied: AppliedConfig): void;
    behind(): void;
    onRegistration(pool: string): void;
  };
  notifications: { configure(config: Config, sinceMs: number): void; onPoolEvent(pool: string): void };
}

export function followCluster(options: FollowingOptions): Pick<ConfigWatch, "current" | "close"> {
  const { redis, prefix, log, sweeping, discovery, notifications } = options;
  const onChange = (applied: AppliedConfig) => {
    const resolved = resolveConfig(applied.document);
    sweeping.configure(resolved.pools);
    discovery.configure(applied);
    notifications.configure(resolved, applied.documentVersion);
  };
  const config = watchConfig(redis, prefix, log, onChange, discovery.behind);
  const events = subscribeEvents(options.subscriber, prefix, {
    onEvent(event) {
      if (event.type === "config") config.refresh();
      else if (event.type === "registration") discovery.onRegistration(event.pool);
      else notifications.onPoolEvent(event.pool);
    },
    onGap: () => config.refresh(),
  });
  return {
    get current() {
      return config.current;
    },
    close() {
      events.close();
      config.close();
    },
  };
}
