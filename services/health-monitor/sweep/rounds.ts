// What a worker does with a job: takes the lease of the shard it names for the round it was made for. Rounds lie on a grid
// that all monitors share, so when a job arrives does not matter, as long as it does. With the lease the job is done: a
// monitor that is killed, hangs or is cut off takes the rest of its round with it, and the next round's job, which was
// made when this one was taken, goes to another.
import type { MonitorMetrics } from "../metrics.ts";
import type { Watched } from "./watched.ts";

/** How long a lease is. With the lead, what a lost monitor held: less than an interval of 1 s. */
export const ROUND_MS = 500;
/** A job is due so long before its round: longer than Redis and BullMQ need to hand it out. */
export const LEAD_MS = 250;
/** What is missed in a lost round is made good this far back. */
const MISSED_MS = 1_000;
/** A round farther ahead was made by a clock that was; it is left. */
const AHEAD_MAX_MS = 10_000;

export interface RoundsOptions {
  /** By the newest configuration; undefined when it has no such shard. */
  shardOf: (id: string) => readonly Watched[] | undefined;
  lease: (backends: readonly Watched[], fromMs: number, untilMs: number) => void;
  /** After every round that was taken. */
  taken: () => void;
  metrics: MonitorMetrics;
}

export interface Rounds {
  /** Of a shard id and when its job was due, ms since the epoch. */
  perform(shardId: string, jobDueMs: number): void;
  /** A shard whose job was lost, or came too late: what it has lately missed, and the time until its next job's round. */
  adopt(shardId: string): void;
}

/** The start of the round whose jobs are due at that time. */
export const roundOf = (jobDueMs: number): number => Math.round((jobDueMs + LEAD_MS) / ROUND_MS) * ROUND_MS;

export function createRounds({ shardOf, lease, taken, metrics }: RoundsOptions): Rounds {
  function adopt(shardId: string): void {
    const shard = shardOf(shardId);
    if (!shard) return;
    const nowMs = Date.now();
    const nextDueMs = (Math.floor((nowMs + LEAD_MS) / ROUND_MS) + 1) * ROUND_MS - LEAD_MS;
    lease(shard, nowMs - MISSED_MS, roundOf(nextDueMs));
    taken();
  }

  return {
    perform(shardId, jobDueMs) {
      const shard = shardOf(shardId);
      // Unknown: this monitor has not seen that configuration yet, or already a newer one.
      if (!shard) return;
      const fromMs = roundOf(jobDueMs);
      const untilMs = fromMs + ROUND_MS;
      const nowMs = Date.now();
      metrics.roundLagSeconds.observe(Math.max(0, nowMs - jobDueMs) / 1_000);
      if (nowMs >= untilMs) {
        metrics.roundsMissed.inc();
        adopt(shardId);
      } else if (fromMs - nowMs <= AHEAD_MAX_MS) {
        lease(shard, fromMs, untilMs);
        metrics.rounds.inc();
        taken();
      }
    },
    adopt,
  };
}
