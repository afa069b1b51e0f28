// Keeps a Redis that was started here alive: when it dies unasked it is started again on its port, empty. What it held
// comes back by itself: the schedulers restore the configuration, the gateways state their counts.
import type { ProvidedRedis } from "../redis/provide.ts";
import type { RedisServer } from "../redis/server.ts";
import { deathsInRow, restartDelayMs } from "./back-off.ts";
import type { ReadyProcess } from "./supervise.ts";

export interface RedisObserver {
  onReady(redis: ReadyProcess): void;
  onDeath(delayMs: number | null): void;
}

export interface RedisKeeper {
  stop(): Promise<void>;
}

export function keepRedis(redis: ProvidedRedis, restart: boolean, observer: RedisObserver): RedisKeeper {
  let server = redis.server;
  let timer: NodeJS.Timeout | undefined;
  let starting: Promise<void> | undefined;
  let stopping = false;
  let deaths = 0;

  const watch = (next: RedisServer) => {
    server = next;
    const startedAt = performance.now();
    observer.onReady({ role: "redis", id: "redis", pid: next.pid, url: next.url });
    next.exited.then(() => died(performance.now() - startedAt));
  };

  const died = (livedMs: number) => {
    if (stopping) return;
    deaths = deathsInRow(deaths, livedMs);
    const delayMs = restart && redis.restart ? restartDelayMs(deaths) : null;
    observer.onDeath(delayMs);
    if (delayMs !== null) timer = setTimeout(() => (starting = startAgain()), delayMs);
  };

  const startAgain = async () => {
    try {
      const next = await redis.restart?.();
      if (next) watch(next);
    } catch {
      died(0);
    }
  };

  if (server) watch(server);
  return {
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await starting;
      await server?.stop();
    },
  };
}
