// Workers of BullMQ are known to stop without a word after Redis went and came back. This watches from outside, on
// a timer of its own, and has the sweeping rebuilt when nothing in the cluster is swept although Redis answers.
import { quietMs, standsStill } from "./standstill.ts";

const CHECK_INTERVAL_MS = 1_000;

export interface WatchdogOptions {
  /** Monotonic, ms. */
  clock: () => number;
  /** How long without a sweep is too long; null while there is nothing to sweep. */
  limitMs: () => number | null;
  /** Rejects when Redis does not answer. */
  sweptAgoMs: () => Promise<number | null>;
  rebuild: (found: { quietMs: number }) => Promise<void>;
  checkIntervalMs?: number;
}

export interface Watchdog {
  /** After a rebuild in progress. */
  stop(): Promise<void>;
}

export function startWatchdog(options: WatchdogOptions): Watchdog {
  const { clock, rebuild } = options;
  let expectedSinceMs: number | null = null;
  let limitMs: number | null = null;
  let checking: Promise<void> | null = null;
  let stopped = false;

  const check = async () => {
    const limit = options.limitMs();
    // A different limit means other shards, which first deserve their time.
    if (limit !== limitMs) expectedSinceMs = null;
    limitMs = limit;
    if (limit === null) return;
    const sweptAgoMs = await options.sweptAgoMs().catch(() => undefined);
    if (sweptAgoMs === undefined || stopped) {
      expectedSinceMs = null;
      return;
    }
    const nowMs = clock();
    expectedSinceMs ??= nowMs;
    const sight = { nowMs, expectedSinceMs, sweptAgoMs };
    if (!standsStill(sight, limit)) return;
    await rebuild({ quietMs: Math.round(quietMs(sight)) });
    expectedSinceMs = clock();
  };

  const timer = setInterval(() => {
    checking ??= check().finally(() => {
      checking = null;
    });
  }, options.checkIntervalMs ?? CHECK_INTERVAL_MS);

  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await checking;
    },
  };
}
