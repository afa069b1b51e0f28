// The rate limit's function in Redis. Its name holds a digest of its source, so that gateways of different releases
// never replace each other's, and a server that lacks it gets it with the next call.
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mastersOf, type Redis } from "@evenkeel/runtime/redis.ts";

const SOURCE = readFileSync(new URL("./rate-limit.lua", import.meta.url), "utf8");
const VERSION = hash("sha256", SOURCE, "hex").slice(0, 12);
const CODE = SOURCE.replaceAll("@version@", VERSION);
const NAME = `evenkeel_limit_${VERSION}`;

/** [remaining, or -1 when refused; µs until one more passes] */
export type LimitAnswer = [remaining: number, waitUs: number];

/** What the limiter needs of Redis; tests bring their own. */
export interface LimitFunction {
  /** False: there is no connection, so that calls would fail. */
  ready(): boolean;
  /** @throws whatever Redis answers, or that it did not answer in time */
  call(key: string, intervalUs: number, burst: number): Promise<LimitAnswer>;
}

/** @param nowUs of tests: since EPOCH_S; otherwise Redis's own clock counts */
export function createLimitFunction(redis: Redis, nowUs: () => number | "" = () => ""): LimitFunction {
  const call = (key: string, intervalUs: number, burst: number) =>
    redis.fcall(NAME, 1, key, intervalUs, burst, nowUs()) as Promise<LimitAnswer>;
  let loading: Promise<void> | null = null;
  const load = async () => {
    try {
      await Promise.allSettled(mastersOf(redis).map((server) => server.function("LOAD", "REPLACE", CODE)));
    } finally {
      loading = null;
    }
  };
  return {
    ready: () => redis.status === "ready",
    async call(key, intervalUs, burst) {
      try {
        return await call(key, intervalUs, burst);
      } catch (error) {
        if (!(error as Error).message.includes("Function not found")) throw error;
        loading ??= load();
        await loading;
        return call(key, intervalUs, burst);
      }
    },
  };
}
