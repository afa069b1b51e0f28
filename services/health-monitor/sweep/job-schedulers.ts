// Keeps BullMQ's job schedulers, one per shard, what the configuration says. Every monitor does so; doing it twice, at
// once or for nothing changes nothing.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import type { Queue } from "bullmq";
import { LEAD_MS, ROUND_MS } from "./rounds.ts";

/** How many commands are under way at once. */
const BATCH = 64;
/** A scheduler whose next job is so overdue may have lost it, with the monitor that was just taking it. */
export const OVERDUE_MS = 700;
/** If the job is there after all, the workers are late; for so long they are left alone. */
const WAITING_MAX_MS = 5_000;
/** One whose next job is farther away was set by a clock that was ahead. */
export const AHEAD_MS = 3_000;

export interface Present {
  id: string;
  /** When its next job is due, ms since the epoch. */
  nextMs: number;
}

export interface Plan {
  add: string[];
  /** Perhaps to be made anew: BullMQ would keep the time of the next job. */
  lost: Present[];
  remove: string[];
}

export function planSchedulers(wanted: Iterable<string>, present: readonly Present[], nowMs: number): Plan {
  const ids = new Set(wanted);
  const known = new Set(present.map(({ id }) => id));
  const isLost = ({ nextMs }: Present) => nowMs - nextMs > OVERDUE_MS || nextMs - nowMs > AHEAD_MS;
  return {
    add: [...ids].filter((id) => !known.has(id)),
    lost: present.filter((one) => ids.has(one.id) && isLost(one)),
    remove: present.filter(({ id }) => !ids.has(id)).map(({ id }) => id),
  };
}

/**
 * One reconciliation at a time; asked for meanwhile, it runs once more. A failed one is made good by the next.
 * @param wanted ids of shards; null before the first configuration
 * @param adopt takes the rest of the round of a shard whose job was lost
 */
export function keepSchedulers(
  redis: Redis,
  queue: () => Queue,
  wanted: () => Iterable<string> | null,
  clock: () => number,
  adopt: (id: string) => void,
  log: Log,
) {
  let running: Promise<void> | null = null;
  let again = false;

  const run = async () => {
    do {
      again = false;
      try {
        const { add, reset, remove } = await reconcile(redis, queue(), wanted() ?? [], clock());
        reset.forEach(adopt);
        if (add.length + reset.length + remove.length === 0) continue;
        const counts = { added: add.length, reset: reset.length, removed: remove.length };
        log.info(counts, "job schedulers follow the configuration");
      } catch (error) {
        log.debug({ reason: (error as Error).message }, "job schedulers not reconciled");
      }
    } while (again);
    running = null;
  };

  return {
    /** Never rejects. */
    reconcile(): Promise<void> {
      if (wanted() === null) return Promise.resolve();
      if (running) again = true;
      else running = run();
      return running;
    },
  };
}

/** @throws when Redis does not answer; what was done until then stays done */
async function reconcile(redis: Redis, queue: Queue, wanted: Iterable<string>, nowMs: number) {
  const { add, lost, remove } = planSchedulers(wanted, await presentOf(redis, queue), nowMs);
  const reset: string[] = [];
  await inBatches(lost, async (one) => {
    if (!(await isWaiting(queue, one, nowMs))) reset.push(one.id);
  });
  await inBatches([...remove, ...reset], (id) => queue.removeJobScheduler(id));
  await inBatches([...add, ...reset], (id) => schedule(queue, id));
  return { add, reset, remove };
}

async function isWaiting(queue: Queue, { id, nextMs }: Present, nowMs: number): Promise<boolean> {
  if (Math.abs(nowMs - nextMs) > WAITING_MAX_MS || nextMs > nowMs) return false;
  return ["waiting", "delayed"].includes(await queue.getJobState(`repeat:${id}:${nextMs}`));
}

/** In one command, as it is asked often: BullMQ's own would ask for each scheduler. */
async function presentOf(redis: Redis, queue: Queue): Promise<Present[]> {
  const flat = await redis.zrange(queue.toKey("repeat"), "0", "-1", "WITHSCORES");
  return Array.from({ length: flat.length / 2 }, (_, i) => ({
    id: flat[2 * i] as string,
    nextMs: Number(flat[2 * i + 1]),
  }));
}

/** A job carries only the shard's id: what to probe is read from the configuration when it runs. */
const schedule = (queue: Queue, id: string) =>
  queue.upsertJobScheduler(
    id,
    { every: ROUND_MS, offset: ROUND_MS - LEAD_MS },
    { name: "round", data: { shard: id }, opts: { attempts: 1, removeOnComplete: true, removeOnFail: true } },
  );

async function inBatches<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < items.length; i += BATCH) await Promise.all(items.slice(i, i + BATCH).map(act));
}
