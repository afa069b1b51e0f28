// Where the schedulers are: the fixed list of the environment, or those announced in Redis. The last list known
// stays in use while Redis is away or comes back empty: a dead scheduler in it costs a refused connection, a
// missing one costs decisions on the shared count.
import { readMembers } from "@evenkeel/runtime/presence.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";

const POLL_INTERVAL_MS = 1_000;

export interface SchedulerList {
  /** Base URLs. */
  urls(): readonly string[];
  close(): void;
}

/** @param configured comma separated URLs; empty: those announced in Redis */
export function followSchedulers(configured: string, redis: Redis, prefix: string): SchedulerList {
  let urls: readonly string[] = parseUrls(configured);
  if (urls.length > 0) return { urls: () => urls, close: () => {} };

  const poll = async () => {
    const members = await readMembers(redis, prefix).catch(() => []);
    const found = members
      .filter(({ role }) => role === "scheduler")
      .map(({ adminUrl }) => adminUrl)
      .filter(isUsable);
    if (found.length > 0) urls = found;
  };
  redis.on("ready", poll);
  const timer = setInterval(poll, POLL_INTERVAL_MS);
  void poll();
  return {
    urls: () => urls,
    close() {
      clearInterval(timer);
      redis.off("ready", poll);
    },
  };
}

/** One process that announces nonsense must not disturb the others. */
const isUsable = (url: string): boolean => URL.canParse(url) && new URL(url).protocol === "http:";

const parseUrls = (text: string): string[] =>
  text
    .split(",")
    .map((url) => url.trim().replace(/\/+$/, ""))
    .filter((url) => url !== "");
