import { setTimeout as delay } from "node:timers/promises";

const POLL_INTERVAL_MS = 20;

/** Waits for a condition, and fails naming it after the deadline. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 15_000,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(POLL_INTERVAL_MS);
  }
}
