// A Redis that evicts keys when its memory is full takes away parts of a pool, which then says what is not so. It cannot
// be told afterwards, so it is told before: by a metric and a line in the log, whenever a connection is new.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

export function watchEviction(redis: Redis, metrics: Metrics, log: Log): void {
  const evicts = metrics.gauge(
    "evenkeel_redis_evicts",
    "1 when Redis may evict keys: its maxmemory-policy is not noeviction",
  );
  const look = async () => {
    let policy: string | undefined;
    try {
      policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info("memory"))?.[1];
    } catch {
      return; // not allowed, or gone again: the next connection is looked at
    }
    const may = policy !== undefined && policy !== "noeviction";
    evicts.set(may ? 1 : 0);
    if (may) log.warn({ policy }, "redis may evict what counts are made of: set maxmemory-policy noeviction");
  };
  redis.on("ready", () => void look());
  if (redis.status === "ready") void look();
}
