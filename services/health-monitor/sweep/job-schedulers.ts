// Keeps BullMQ's job schedulers, one per shard, what the configuration says. Every monitor does so; doing it twice,
// at once or for nothing changes nothing.
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Queue } from "bullmq";
import { type Shard, standstillMs } from "./shards.ts";

/** How many commands are under way at once. */
const BATCH = 100;

export interface Present {
  id: string;
  intervalMs: number;
  /** When its next job is due, ms since the epoch. */
  nextMs: number;
}

export interface Plan {
  upsert: Shard[];
  remove: string[];
}

/**
 * A scheduler whose next job is long overdue counts as missing: its job was lost with the monitor that took it,
 * between taking it and scheduling the one after. So does one whose next job is too far away: a clock was ahead.
 */
export function planSchedulers(wanted: readonly Shard[], present: readonly Present[], nowMs: number): Plan {
  const wantedIds = new Set(wanted.map((shard) => shard.id));
  const known = new Map(present.map((scheduler) => [scheduler.id, scheduler]));
  return {
    upsert: wanted.filter((shard) => {
      const scheduler = known.get(shard.id);
      if (scheduler?.intervalMs !== shard.probing.intervalMs) return true;
      const standstill = standstillMs(shard);
      return (
        nowMs - scheduler.nextMs > standstill || scheduler.nextMs - nowMs > scheduler.intervalMs + standstill
      );
    }),
    remove: present.filter(({ id }) => !wantedIds.has(id)).map(({ id }) => id),
  };
}

/**
 * One reconciliation at a time; asked for meanwhile, it runs once more. A failed one is made good by the next.
 * @param wanted null before the first configuration
 */
export function keepSchedulers(
  queue: () => Queue,
  wanted: () => Shard[] | null,
  clock: () => number,
  log: Log,
) {
  let running: Promise<void> | null = null;
  let again = false;

  const run = async () => {
    do {
      again = false;
      try {
        const { upsert, remove } = await reconcileSchedulers(queue(), wanted() ?? [], clock());
        if (upsert.length + remove.length === 0) continue;
        log.info({ set: upsert.length, removed: remove.length }, "job schedulers follow the configuration");
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
async function reconcileSchedulers(queue: Queue, wanted: readonly Shard[], nowMs: number): Promise<Plan> {
  const present = (await queue.getJobSchedulers()).map(({ key, every, next }) => ({
    id: key,
    intervalMs: every ?? 0,
    nextMs: next ?? 0,
  }));
  const plan = planSchedulers(wanted, present, nowMs);
  await inBatches(plan.remove, (id) => queue.removeJobScheduler(id));
  // Set again, BullMQ keeps the time of the next job; removed before, it begins anew.
  const known = new Set(present.map(({ id }) => id));
  await inBatches(
    plan.upsert.filter(({ id }) => known.has(id)),
    ({ id }) => queue.removeJobScheduler(id),
  );
  await inBatches(plan.upsert, (shard) => upsert(queue, shard));
  return plan;
}

/** A job carries only the shard's id: what to probe is read from the configuration when it runs. */
const upsert = (queue: Queue, { id, probing }: Shard) =>
  queue.upsertJobScheduler(
    id,
    { every: probing.intervalMs },
    { name: "sweep", data: { shard: id }, opts: { attempts: 1, removeOnComplete: true, removeOnFail: true } },
  );

async function inBatches<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < items.length; i += BATCH) await Promise.all(items.slice(i, i + BATCH).map(act));
}
