// One place that opens Redis connections. Commands fail fast (no offline queue, a timeout each); connections come
// back by themselves for ever, with a bounded delay.
import { Redis } from "ioredis";
import { type Log, withoutCredentials } from "./log.ts";

/** Past it a command has failed; Redis may still carry it out, which every caller must bear. */
export const COMMAND_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection on which commands wait and nothing comes for this long is dead (its other end vanished): open a new one. */
const DEAD_AFTER_MS = 5_000;
const RECONNECT_MAX_MS = 500;

export type { Redis };

export interface RedisOptions {
  url: string;
  /** Shown by CLIENT LIST. */
  name: string;
  commandTimeoutMs?: number;
}

/** Returns at once; the first connection is made in the background and `redis.status` tells how it went. */
export function openRedis(options: RedisOptions, log: Log): Redis {
  const redis = new Redis(options.url, {
    connectionName: options.name,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: DEAD_AFTER_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(attempt * 50, RECONNECT_MAX_MS),
  });
  announce(redis, options, log);
  return redis;
}

/**
 * A connection for pub/sub: it subscribes again by itself after a reconnect.
 * The offline queue is on, so that subscribing before the first connection works; it holds a handful of commands.
 */
export function openSubscriber(options: RedisOptions, log: Log): Redis {
  const redis = new Redis(options.url, {
    connectionName: options.name,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(attempt * 50, RECONNECT_MAX_MS),
  });
  announce(redis, options, log);
  return redis;
}

/** A connection whose commands may block and are repeated for ever, as a job worker needs: the same as for pub/sub. */
export const openBlocking = openSubscriber;

/** Logs a lost and a regained connection once each, not every attempt. */
function announce(redis: Redis, { url, name }: RedisOptions, log: Log): void {
  let lost = false;
  redis.on("error", (error) => {
    if (lost) return;
    lost = true;
    log.warn(
      { redis: withoutCredentials(url), connection: name, reason: error.message },
      "redis unreachable",
    );
  });
  redis.on("close", () => {
    if (lost || redis.status === "end") return; // ended: closed by ourselves
    lost = true;
    log.warn({ redis: withoutCredentials(url), connection: name }, "redis connection closed");
  });
  redis.on("ready", () => {
    if (lost) log.info({ redis: withoutCredentials(url), connection: name }, "redis connection is back");
    lost = false;
  });
}
