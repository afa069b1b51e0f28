// Waits until a draining backend has nothing in flight, and says meanwhile how much is left.
import { setTimeout as sleep } from "node:timers/promises";
import type { ShownBackend } from "@evenkeel/core/wire/shown-pool.ts";
import { type AdminApi, AdminApiError } from "../admin-api.ts";
import type { Context } from "../command.ts";

const POLL_INTERVAL_MS = 500;

export interface DrainWait {
  api: Pick<AdminApi, "pool">;
  pool: string;
  backend: string;
  timeoutMs: number;
  context: Pick<Context, "print" | "say" | "signal">;
  pollIntervalMs?: number;
}

/** False, after saying why, when it did not come to that: in time, or at all because it no longer drains. */
export async function waitUntilDrained(wait: DrainWait): Promise<boolean> {
  const { backend, timeoutMs, context, pollIntervalMs = POLL_INTERVAL_MS } = wait;
  const name = `${backend} of pool ${wait.pool}`;
  const deadlineMs = performance.now() + timeoutMs;
  let said = "";
  const sayOnce = (progress: string) => {
    if (progress !== said) context.say(progress);
    said = progress;
  };
  while (!context.signal.aborted) {
    const now = await look(wait);
    if (typeof now === "string") {
      sayOnce(now);
    } else if (now?.drained) {
      context.print(`${name} is drained`);
      return true;
    } else if (now?.mode !== "draining") {
      context.say(`${name} ${now ? `is ${now.mode} again` : "is no longer configured"}`);
      return false;
    } else {
      sayOnce(`${name} has ${now.inflight} in flight`);
    }
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) {
      context.say(`${name} is not drained after ${timeoutMs / 1_000} s`);
      return false;
    }
    await sleep(Math.min(pollIntervalMs, leftMs), undefined, { signal: context.signal }).catch(() => {});
  }
  return false;
}

/** The backend, undefined when it is gone, or why nobody could say: schedulers, and Redis, may be away for a while. */
async function look({ api, pool, backend }: DrainWait): Promise<ShownBackend | undefined | string> {
  try {
    return (await api.pool(pool)).backends.find(({ id }) => id === backend);
  } catch (error) {
    if (!(error instanceof AdminApiError)) throw error;
    if (error.status === 404) return undefined;
    if (error.status === 0 || error.status >= 500) return error.message;
    throw error;
  }
}
