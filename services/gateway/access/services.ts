// What the access of all routes shares, and what outlives a change of the configuration: keys already loaded, passwords
// and tokens already verified, buckets known to be empty.
import type { JwtAccess } from "@evenkeel/core/config/resolve-access.ts";
import { type Log, withoutCredentials } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { type BoundedCache, createBoundedCache } from "./bounded-cache.ts";
import type { VerifiedToken } from "./jwt.ts";
import { createKeySource, type KeySource } from "./key-source.ts";
import { createLimitFunction } from "./limit-function.ts";
import { createLimiter, type Limiter } from "./limiter.ts";
import { type AccessMetrics, createAccessMetrics } from "./metrics.ts";
import { type Outage, watchOutage } from "./outage.ts";
import { createPasswords, type Passwords } from "./passwords.ts";
import { createSubrequests, type Dispatcher, defaultDispatcher, type Subrequests } from "./subrequest.ts";

/** Verified tokens of all routes; about 0.5 kB each. */
const TOKENS_MAX = 20_000;

export interface AccessServicesOptions {
  /** For rate limits; may have connections of its own. */
  redis: Redis;
  /** Of all keys in Redis. */
  prefix: string;
  metrics: Metrics;
  log: Log;
  /** ms, monotonic */
  clock: () => number;
  /** ms since 1970: what the times in tokens are compared with */
  now: () => number;
  /** For key sets and forward authentication; by default one of its own. */
  dispatcher?: Dispatcher;
}

export interface AccessServices {
  readonly prefix: string;
  readonly limiter: Limiter;
  readonly passwords: Passwords;
  readonly subrequests: Subrequests;
  readonly tokens: BoundedCache<VerifiedToken>;
  readonly metrics: AccessMetrics;
  readonly log: Log;
  clock(): number;
  now(): number;
  /** The same for all routes that name it. */
  keySource(source: JwtAccess["source"]): KeySource;
  outageOf(url: string): Outage;
  /** Drops what no route of a new configuration names. */
  keep(sources: readonly JwtAccess["source"][], urls: readonly string[]): void;
  close(): void;
}

export function createAccessServices(options: AccessServicesOptions): AccessServices {
  const { redis, prefix, log, clock, now } = options;
  const metrics = createAccessMetrics(options.metrics);
  const subrequests = createSubrequests(options.dispatcher ?? defaultDispatcher());
  const sources = new Map<string, KeySource>();
  const outages = new Map<string, Outage>();
  const nameOf = ({ kind, at }: JwtAccess["source"]) => `${kind} ${at}`;

  return {
    prefix,
    passwords: createPasswords({ clock }),
    subrequests,
    tokens: createBoundedCache(TOKENS_MAX, clock),
    metrics,
    log,
    clock,
    now,
    limiter: createLimiter({
      redis: createLimitFunction(redis),
      clock,
      outage: watchOutage(log, {}, "rate limit"),
      onUnavailable: metrics.rateLimitUnavailable,
    }),
    keySource(source) {
      const known = sources.get(nameOf(source));
      if (known) return known;
      const outage = watchOutage(log, { [source.kind]: withoutCredentials(source.at) }, "keys of tokens");
      const opened = createKeySource(source, { subrequests, clock, outage });
      sources.set(nameOf(source), opened);
      return opened;
    },
    outageOf(url) {
      const known = outages.get(url);
      if (known) return known;
      const outage = watchOutage(log, { url: withoutCredentials(url) }, "forward authentication");
      outages.set(url, outage);
      return outage;
    },
    keep(keptSources, keptUrls) {
      const names = new Set(keptSources.map(nameOf));
      const urls = new Set(keptUrls);
      for (const name of sources.keys()) if (!names.has(name)) sources.delete(name);
      for (const url of outages.keys()) if (!urls.has(url)) outages.delete(url);
    },
    close: subrequests.close,
  };
}
