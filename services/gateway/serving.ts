// What every process of a gateway has, the first one and its workers alike: connections to Redis, scheduling with a row
// of its own, the data path, and the events that keep scheduling up to date.
import { type Config, resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { type Environment, integer } from "@evenkeel/runtime/environment.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import { createMetrics, type Metrics } from "@evenkeel/runtime/metrics.ts";
import { openRedis, openSubscriber, type Redis } from "@evenkeel/runtime/redis.ts";
import { createAccessServices } from "./access/services.ts";
import { followCookieSecret } from "./cookie-secret.ts";
import { createDataPath, type DataPath } from "./data-path.ts";
import type { Bind } from "./listeners/bind.ts";
import type { ListenError } from "./listeners/listeners.ts";
import { followSchedulers } from "./scheduler-list.ts";
import type { PoolView } from "./scheduling/scheduling.ts";
import { createScheduling } from "./scheduling/settle-client.ts";

export interface ServingOptions {
  /** Unique to the lifetime of this process: its row in the shared count goes by it. */
  id: string;
  environment: Environment;
  log: Log;
  bind: Bind;
  /** False: datagrams go to another process. */
  datagrams: boolean;
  /** ms, monotonic */
  clock(): number;
  /** ms since 1970 */
  now(): number;
  /** 0 to below 1 */
  random(): number;
}

export interface Serving {
  readonly metrics: Metrics;
  readonly redis: Redis;
  listeners: DataPath["listeners"];
  notReady: DataPath["notReady"];
  /** How long `drain` may take. */
  readonly drainMs: number;
  configure(document: ConfigDocument): Promise<{ config: Config; errors: ListenError[] }>;
  pools(): PoolView[];
  /** Follows what happens to pools. @param onConfig there may be a new configuration */
  followEvents(onConfig: () => void): void;
  /** Accepts no more from now on, whatever grace the drain gives: the ports are needed by others. */
  releasePorts(): void;
  drain(): Promise<void>;
  /** After the drain: states empty rows and closes connections. */
  close(): Promise<void>;
}

export function createServing(options: ServingOptions): Serving {
  const { id, environment: env, log, bind, datagrams, clock, now, random } = options;
  const { EVENKEEL_PREFIX: prefix, EVENKEEL_REDIS_URL: url } = env;
  const drainGraceMs = integer(env, "EVENKEEL_DRAIN_GRACE_MS", 0, 3_600_000);
  const drainDeadlineMs = integer(env, "EVENKEEL_DRAIN_DEADLINE_MS", 0, 3_600_000);
  const portOffset = integer(env, "EVENKEEL_PORT_OFFSET", 0, 65_535);
  const metrics = createMetrics();
  const redis = openRedis({ url, name: id }, log);
  const subscriber = openSubscriber({ url, name: `${id}:events` }, log);
  const schedulers = followSchedulers(env.EVENKEEL_SCHEDULERS, redis, prefix);
  const cookies = followCookieSecret(env.EVENKEEL_COOKIE_SECRET, redis, prefix, log);
  const scheduling = createScheduling({
    ...{ gatewayId: id, schedulers: schedulers.urls, token: env.EVENKEEL_TOKEN },
    ...{ clock, now, random, metrics, log },
  });
  const dataPath = createDataPath({
    ...{ scheduling, metrics, log, clock, random, bind, portOffset, drainGraceMs, drainDeadlineMs },
    access: createAccessServices({ redis, prefix, metrics, log, clock, now }),
    accessLog: env.EVENKEEL_ACCESS_LOG === "on" ? log : null,
    zone: env.EVENKEEL_ZONE,
    cookieSecret: cookies.current,
  });

  let latest: Config | null = null;

  return {
    ...{ metrics, redis, listeners: dataPath.listeners, notReady: dataPath.notReady },
    drainMs: drainGraceMs + drainDeadlineMs,
    async configure(document) {
      const config = resolveConfig(document);
      latest = config;
      const listeners = config.listeners.filter(({ protocol }) => datagrams || protocol !== "udp");
      return { config, errors: await dataPath.configure({ ...config, listeners }) };
    },
    pools: scheduling.view,
    followEvents(onConfig) {
      subscribeEvents(subscriber, prefix, {
        onEvent(event) {
          scheduling.onEvent(event);
          if (event.type === "config") onConfig();
        },
        onGap() {
          scheduling.onGap();
          onConfig();
        },
      });
    },
    releasePorts() {
      if (latest !== null) void dataPath.configure({ ...latest, listeners: [] });
    },
    drain: dataPath.drain,
    async close() {
      subscriber.disconnect();
      await scheduling.stop();
      schedulers.close();
      cookies.close();
    },
  };
}
