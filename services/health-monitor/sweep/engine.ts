// The part that can break and is thrown away whole: BullMQ's worker and queue, and the connection they live on.
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { type Job, Queue, Worker } from "bullmq";
import { MAX_SHARDS } from "./shards.ts";

const QUEUE_NAME = "rounds";
/** Jobs one monitor has under way; each is over as soon as its lease is taken. */
const JOBS_AT_ONCE = MAX_SHARDS;
/** An idle worker looks for due jobs this often by itself: the one that waits for the due time may have been killed. */
const IDLE_POLL_SECONDS = 0.2;
/** After a failed command; the library's own 15 s would be many missed rounds. */
const RETRY_DELAY_MS = 200;
/** BullMQ's event stream, which nobody reads here. */
const EVENTS_KEPT = 100;
/** For commands under way at an orderly stop. */
const CLOSE_DEADLINE_MS = 2_000;
const FORCE_CLOSE_DEADLINE_MS = 1_000;

export interface EngineOptions {
  /** Answers fast or not at all: for the queue. */
  redis: Redis;
  /** A connection that may block and repeats commands for ever: for the worker. */
  openBlocking: () => Redis;
  prefix: string;
  log: Log;
  /** Never throws. */
  perform: (shardId: string, dueMs: number) => void;
}

export interface Engine {
  readonly queue: Queue;
  readonly worker: Worker;
  /** Waits for jobs in progress, unless forced; always back within its deadline. */
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
  const worker = new Worker(QUEUE_NAME, async (job) => perform(job.data.shard, dueMs(job)), {
    connection: blocking,
    prefix: tagged,
    concurrency: JOBS_AT_ONCE,
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

/** A scheduler's job is named after the time it was made for: `repeat:<scheduler>:<ms>`. */
const dueMs = ({ id = "" }: Job): number => Number(id.slice(id.lastIndexOf(":") + 1));

const settledWithin = (ms: number, work: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    delay(ms, false, { ref: false }),
  ]);
