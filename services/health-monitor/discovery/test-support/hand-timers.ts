// Time that passes only when a test says so.
import type { Timers } from "../source.ts";

export function handTimers() {
  let now = 0;
  let waiting: { atMs: number; delayMs: number; run: () => void }[] = [];
  const timers: Timers = {
    nowMs: () => now,
    after(delayMs, run) {
      const one = { atMs: now + delayMs, delayMs, run };
      waiting.push(one);
      return () => {
        waiting = waiting.filter((other) => other !== one);
      };
    },
  };
  return {
    timers,
    /** The delays that are waited for. */
    delaysMs: () => waiting.map(({ delayMs }) => Math.round(delayMs)),
    /** Runs what is due by then, in its order. */
    pass(ms: number) {
      const endMs = now + ms;
      for (;;) {
        const [next] = waiting.toSorted((one, other) => one.atMs - other.atMs);
        if (!next || next.atMs > endMs) break;
        now = Math.max(now, next.atMs);
        waiting = waiting.filter((one) => one !== next);
        next.run();
      }
      now = endMs;
    },
  };
}
