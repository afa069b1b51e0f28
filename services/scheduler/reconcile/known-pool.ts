// A pool the ledger does not know may only have been lost with Redis: it is configured again and asked once more.
import { unknownPool } from "../errors.ts";

/** Configures a pool from the applied configuration; false when that has no such pool. */
export type Restore = (pool: string) => Promise<boolean>;

/**
 * @param ask answers null while the ledger does not know the pool
 * @throws SchedulerError `unknown_pool`, and whatever `ask` and `restore` throw
 */
export async function askKnownPool<T>(
  pool: string,
  restore: Restore,
  ask: () => Promise<T | null>,
): Promise<T> {
  const answer = (await ask()) ?? ((await restore(pool)) ? await ask() : null);
  if (answer === null) throw unknownPool(pool);
  return answer;
}
