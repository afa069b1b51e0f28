// One place that opens Redis connections, to one server, to the master behind sentinels, or to a Redis Cluster alike.
// Commands fail fast (no offline queue, a timeout each); connections come back by themselves for ever, with a bounded
// delay.
import { Cluster, Redis } from "ioredis";
import { type Log, withoutCredentials } from "./log.ts";
import { parseRedisAddress, type RedisAddress } from "./redis-address.ts";
import { type ClientOptions, openHastyCluster, openPatientCluster } from "./redis-cluster.ts";

/** Past it a command has failed; Redis may still carry it out, which every caller must bear. */
export const COMMAND_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection on which commands wait and nothing comes for this long is dead (its other end vanished): open a new one. */
const DEAD_AFTER_MS = 5_000;
const RECONNECT_MAX_MS = 500;
/**
 * A server that loads its data is asked this often whether it is done. What it says itself is of no use: right after its
 * start it reckons hours, and the client would look away for 10 s.
 */
const LOADING_RETRY_MS = 200;
/** A subscriber has no commands that wait: it asks this often, or it would never notice that the other end vanished. */
const HEARTBEAT_MS = 5_000;

/** A Redis Cluster has the same commands, events and `status`, and stands for it where only those are used. */
export type { Redis };

export interface RedisOptions {
  /** What `parseRedisAddress` takes. */
  url: string;
  /** Shown by CLIENT LIST. */
  name: string;
  commandTimeoutMs?: number;
}

/**
 * Returns at once; the first connection is made in the background and `redis.status` tells how it went.
 * @throws RedisAddressError
 */
export function openRedis(options: RedisOptions, log: Log): Redis {
  const address = parseRedisAddress(options.url);
  const client: ClientOptions = {
    ...clientOptions(address, options.name),
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    socketTimeout: DEAD_AFTER_MS,
    maxRetriesPerRequest: 0,
  };
  const redis =
    address.kind === "cluster"
      ? asRedis(openHastyCluster({ endpoints: address.endpoints, server: client, reconnectDelayMs }))
      : new Redis({
          ...client,
          ...serverOptions(address),
          enableOfflineQueue: false,
          autoResendUnfulfilledCommands: false,
        });
  announce(redis, options, log);
  return redis;
}

/**
 * A connection for pub/sub: it subscribes again by itself after a reconnect. In a Redis Cluster it is one to any server,
 * since all hear every message; after a loss it is one to the next. The offline queue is on, so that subscribing before
 * the first connection works; it holds a handful of commands.
 * @throws RedisAddressError
 */
export function openSubscriber(options: RedisOptions, log: Log): Redis {
  const address = parseRedisAddress(options.url);
  let turn = 0;
  const redis = new Redis({
    ...clientOptions(address, options.name),
    ...serverOptions(address),
    socketTimeout: DEAD_AFTER_MS,
    maxRetriesPerRequest: null,
    autoResubscribe: false, // whoever listens does so on every connection, and knows what to do when it may not
    retryStrategy(attempt) {
      turn += 1;
      if (address.kind === "cluster")
        Object.assign(redis.options, address.endpoints[turn % address.endpoints.length]);
      return reconnectDelayMs(attempt);
    },
  });
  const heartbeat = setInterval(() => {
    if (redis.status === "ready") redis.ping().catch(() => {}); // lost: the connection comes back by itself
  }, HEARTBEAT_MS).unref();
  redis.once("end", () => clearInterval(heartbeat));
  announce(redis, options, log);
  return redis;
}

/**
 * A connection whose commands may block and are repeated for ever, as a job worker needs.
 * @throws RedisAddressError
 */
export function openBlocking(options: RedisOptions, log: Log): Redis {
  const address = parseRedisAddress(options.url);
  const client = { ...clientOptions(address, options.name), maxRetriesPerRequest: null };
  const redis =
    address.kind === "cluster"
      ? asRedis(openPatientCluster({ endpoints: address.endpoints, server: client, reconnectDelayMs }))
      : new Redis({ ...client, ...serverOptions(address) });
  announce(redis, options, log);
  return redis;
}

/** The servers that take writes, as far as known: itself, or every master of a cluster. */
export const mastersOf = (redis: Redis | Cluster): Redis[] =>
  redis instanceof Cluster ? redis.nodes("master") : [redis];

const asRedis = (cluster: Cluster): Redis => cluster as unknown as Redis;

const reconnectDelayMs = (attempt: number): number => Math.min(attempt * 50, RECONNECT_MAX_MS);

const clientOptions = ({ username, password, tls }: RedisAddress, name: string): ClientOptions => ({
  connectionName: name,
  connectTimeout: CONNECT_TIMEOUT_MS,
  maxLoadingRetryTime: LOADING_RETRY_MS,
  username: username ?? undefined,
  password: password ?? undefined,
  ...(tls ? { tls: {} } : {}),
});

/** Where the one server is, and how to come back to it. */
function serverOptions(address: RedisAddress): ClientOptions {
  const returning: ClientOptions = {
    retryStrategy: reconnectDelayMs,
    // It became a replica while this connection stood: whatever led here leads to the new master by now.
    reconnectOnError: ({ message }) => message.startsWith("READONLY"),
  };
  if (address.kind !== "sentinel") {
    const db = address.kind === "server" ? address.db : 0;
    return { ...returning, ...address.endpoints[0], db };
  }
  const { endpoints, master, db, tls, sentinelUsername, sentinelPassword } = address;
  return {
    ...returning,
    sentinels: endpoints,
    name: master,
    db,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    sentinelRetryStrategy: reconnectDelayMs,
    sentinelUsername: sentinelUsername ?? undefined,
    sentinelPassword: sentinelPassword ?? undefined,
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}

/** Logs a lost and a regained connection once each, not every attempt. */
function announce(redis: Redis, { url, name }: RedisOptions, log: Log): void {
  const which = { redis: withoutCredentials(url), connection: name };
  let lost = false;
  let ended = false;
  redis.on("end", () => {
    ended = true;
  });
  redis.on("error", (error: Error & { lastNodeError?: Error }) => {
    if (lost) return;
    lost = true;
    log.warn({ ...which, reason: (error.lastNodeError ?? error).message }, "redis unreachable");
  });
  const closed = () => {
    if (lost || ended || redis.status === "end") return; // closed by ourselves
    lost = true;
    log.warn(which, "redis connection closed");
  };
  redis.on("close", () => queueMicrotask(closed)); // a cluster's status is set only when all have been told
  redis.on("ready", () => {
    if (lost) log.info(which, "redis connection is back");
    lost = false;
  });
}
