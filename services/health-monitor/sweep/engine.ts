// The part that can break and is thrown away whole: BullMQ's worker and queue, and the connection they live on.
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { type Job, Queue, Worker } from "bullmq";

const QUEUE_NAME = "sweeps";
/** Sweeps one monitor has under way. */
const SWEEPS_AT_ONCE = 64;
/** An idle worker looks for due jobs this often by itself: the one that waits for the due time may have been killed. */
const IDLE_POLL_SECONDS = 0.5;
/** After a failed command; the library's own 15 s would be many missed sweeps. */
const RETRY_DELAY_MS = 1_000;
/** BullMQ's event stream, which nobody reads here. */
const EVENTS_KEPT = 100;
/** For sweeps in progress at an orderly stop. */
export const CLOSE_DEADLINE_MS = 5_000;
const FORCE_CLOSE_DEADLINE_MS = 1_000;

export interface EngineOptions {
  /** Answers fast or not at all: for the queue. */
  redis: Redis;
  /** A connection that may block and repeats commands for ever: for the worker. */
  openBlocking: () => Redis;
  prefix: string;
  log: Log;
  /** Never rejects. */
  perform: (shardId: string, dueMs: number) => Promise<void>;
}

export interface Engine {
  readonly queue: Queue;
  readonly worker: Worker;
  /** Waits for sweeps in progress, unless forced; always back within its deadline. */
  close(force: boolean): Promise<void>;
}

export function startEngine({ redis, openBlocking, prefix, log, perform }: EngineOptions): Engine {
  const blocking = openBlocking();
  const tagged = `{${prefix}}`;
  const queue = new Queue(QUEUE_NAME, {
    connection: redis,
    prefix: tagged,
    skipVersionCheck: true,
    streams: { events: { maxLen: EVENTS_KEPT } },
  });
  const worker = new Worker(QUEUE_NAME, (job) => perform(job.data.shard, dueMs(job)), {
    connection: blocking,
    prefix: tagged,
    concurrency: SWEEPS_AT_ONCE,
    drainDelay: IDLE_POLL_SECONDS,
    runRetryDelay: RETRY_DELAY_MS,
  });
  // While Redis is away every attempt to reconnect is an error; the connection itself logs that, once.
  const onError = (error: Error) =>
    log[redis.status === "ready" ? "warn" : "debug"]({ err: error }, "queue error");
  queue.on("error", onError);
  worker.on("error", onError);

  return {
    queue,
    worker,
    async close(force) {
      const deadlineMs = force ? FORCE_CLOSE_DEADLINE_MS : CLOSE_DEADLINE_MS;
      if (!(await settledWithin(deadlineMs, worker.close(force)))) void worker.disconnect().catch(() => {});
      await settledWithin(FORCE_CLOSE_DEADLINE_MS, queue.close());
      blocking.disconnect();
    },
  };
}

const dueMs = ({ timestamp, opts }: Job): number => timestamp + (opts.delay ?? 0);

const settledWithin = (ms: number, work: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    delay(ms, false, { ref: false }),
  ]);
