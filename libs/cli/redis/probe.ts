// Whether a Redis answers, and whether it is new enough. Functions, on which the ledger stands, came with 7.0.
import { setTimeout as sleep } from "node:timers/promises";
import { createLog, withoutCredentials } from "@evenkeel/runtime/log.ts";
import { openRedis } from "@evenkeel/runtime/redis.ts";

const OLDEST_MAJOR = 7;
const ASK_INTERVAL_MS = 50;
/** What the client says of bytes that are no reply. */
const NO_REPLY = /^Unknown RESP type/;

export interface ProbeOptions {
  timeoutMs: number;
  /** Ends the wait early: whoever started this Redis knows that it is gone. */
  gone?: () => boolean;
}

/** Waits until it answers. Returns its version. @throws when it does not in time, or is too old */
export async function probeRedis(url: string, { timeoutMs, gone }: ProbeOptions): Promise<string> {
  const log = createLog("silent", { role: "evenkeel", id: "probe" });
  const redis = openRedis({ url, name: "evenkeel-probe" }, log);
  const deadline = Date.now() + timeoutMs;
  let reason = "no answer";
  let foreign = false;
  redis.on("error", (error) => {
    foreign ||= NO_REPLY.test(error.message);
    reason = error.message || reason;
  });
  try {
    while (Date.now() < deadline && !gone?.()) {
      const info = redis.status === "ready" ? await redis.info("server").catch(() => null) : null;
      if (info !== null) return acceptVersion(info, url);
      if (foreign) throw new Error(`what listens at ${withoutCredentials(url)} does not speak Redis`);
      await sleep(ASK_INTERVAL_MS);
    }
  } finally {
    redis.disconnect();
  }
  throw new Error(`no Redis at ${withoutCredentials(url)}: ${reason}`);
}

function acceptVersion(info: string, url: string): string {
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? "unknown";
  if (isNewEnough(version)) return version;
  throw new Error(
    `the Redis at ${withoutCredentials(url)} is version ${version}; Evenkeel needs 7.0 or later (or Valkey), because its counts are kept by Redis Functions`,
  );
}

export const isNewEnough = (version: string): boolean => Number.parseInt(version, 10) >= OLDEST_MAJOR;
