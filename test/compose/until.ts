// Waits for a condition instead of for a time; a condition that throws does not hold yet.
import { setTimeout as pause } from "node:timers/promises";

const POLL_INTERVAL_MS = 100;

/** @throws naming what did not come true within `timeoutMs`, and the last error of the condition */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await pause(POLL_INTERVAL_MS);
  } while (Date.now() < deadlineMs);
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
}
