// BullMQ's queue of notifications and this monitor's worker. Every monitor sends; a message that was taken by one that
// was killed is sent by another.
import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { DelayedError, type Job, Queue, UnrecoverableError, Worker } from "bullmq";
import type { Message } from "./message.ts";

const QUEUE_NAME = "notifications";
/** Under way at once in one monitor: small, so that no storm of events is in the way of probes. */
const AT_ONCE = 8;
/** An idle worker looks for due messages this often by itself: the one that waited for them may have been killed. */
const IDLE_POLL_SECONDS = 1;
/** After a failed command. */
const RETRY_DELAY_MS = 1_000;
/** BullMQ's event stream, which nobody reads here. */
const EVENTS_KEPT = 100;
/** Those sent that are remembered, so that none of them is sent again when its event is seen twice. */
const SENT_KEPT = { count: 5_000, age: 86_400 };
/** Those given up, likewise; what there is to see of them is in the dead letters. */
const GIVEN_UP_KEPT = { count: 1_000, age: 86_400 };
/** More than a webhook may have: when it is enough is decided by what is configured then. */
const ATTEMPTS_MAX = 64;
/** Monitors may be killed in the middle of a message this often. */
const STALLED_MAX = 16;
const CLOSE_DEADLINE_MS = 3_000;
const DISCONNECT_DEADLINE_MS = 1_000;
const WAITING = ["waiting", "delayed", "prioritized"] as const;
/** Messages queued in one go: a short turn of Redis. */
const ADDED_AT_ONCE = 200;

/** What became of an attempt. */
export type Attempt =
  | { is: "over" }
  /** It was none: come again. */
  | { is: "put off"; waitMs: number }
  | { is: "failed"; waitMs: number; reason: string }
  | { is: "given up"; reason: string };

export interface QueueOptions {
  /** Answers fast or not at all: for the queue. */
  redis: Redis;
  /** A connection that may block and repeats commands for ever: for the worker. */
  openBlocking: () => Redis;
  prefix: string;
  log: Log;
  /** @param failed attempts before this one */
  attempt(message: Message, failed: number): Promise<Attempt>;
}

export interface NotificationQueue {
  /** One with a key that is in the queue, or remembered, changes nothing. @throws when Redis does not answer */
  add(messages: readonly { key: string; message: Message }[]): Promise<void>;
  /** How many wait. */
  waiting(): Promise<number>;
  /** Takes some out: first those that were tried or put off, by when they are due, then those that have waited longest. */
  takeOldest(most: number): Promise<Message[]>;
  /** Waits for messages under way; always back within a deadline. */
  close(): Promise<void>;
}

class Failed extends Error {
  readonly waitMs: number;
  constructor(reason: string, waitMs: number) {
    super(reason);
    this.waitMs = waitMs;
  }
}

export function openQueue({ redis, openBlocking, prefix, log, attempt }: QueueOptions): NotificationQueue {
  const blocking = openBlocking();
  const tagged = `{${prefix}}`;
  const queue = new Queue<Message>(QUEUE_NAME, {
    connection: redis,
    prefix: tagged,
    skipVersionCheck: true,
    streams: { events: { maxLen: EVENTS_KEPT } },
    defaultJobOptions: {
      attempts: ATTEMPTS_MAX,
      backoff: { type: "asked" },
      removeOnComplete: SENT_KEPT,
      removeOnFail: GIVEN_UP_KEPT,
      stackTraceLimit: 0,
    },
  });
  const perform = async (job: Job<Message>, token?: string) => {
    const became = await attempt(job.data, job.attemptsMade);
    if (became.is === "put off") {
      await job.moveToDelayed(Date.now() + became.waitMs, token);
      throw new DelayedError();
    }
    if (became.is === "given up") throw new UnrecoverableError(became.reason);
    if (became.is === "failed") throw new Failed(became.reason, became.waitMs);
  };
  const worker = new Worker<Message>(QUEUE_NAME, perform, {
    connection: blocking,
    prefix: tagged,
    concurrency: AT_ONCE,
    drainDelay: IDLE_POLL_SECONDS,
    runRetryDelay: RETRY_DELAY_MS,
    maxStalledCount: STALLED_MAX,
    settings: {
      backoffStrategy: (_made, _type, error) => (error instanceof Failed ? error.waitMs : RETRY_DELAY_MS),
    },
  });
  // While Redis is away every attempt to reconnect is an error; the connection itself logs that, once.
  const onError = (error: Error) =>
    log[redis.status === "ready" ? "warn" : "debug"]({ err: error }, "notification queue error");
  queue.on("error", onError);
  worker.on("error", onError);

  return {
    async add(messages) {
      for (let i = 0; i < messages.length; i += ADDED_AT_ONCE) {
        const some = messages.slice(i, i + ADDED_AT_ONCE);
        await queue.addBulk(
          some.map(({ key, message }) => ({ name: message.webhook, data: message, opts: { jobId: key } })),
        );
      }
    },
    waiting: () => queue.getJobCountByTypes(...WAITING),
    async takeOldest(most) {
      const failing = await queue.getJobs(["delayed"], 0, most - 1, true);
      const others =
        failing.length < most ? await queue.getJobs(["waiting"], 0, most - failing.length - 1, true) : [];
      const taken: Message[] = [];
      for (const job of [...failing, ...others]) {
        if (!job) continue; // sent meanwhile
        const removed = await job.remove().then(
          () => true,
          () => false, // just being sent
        );
        if (removed) taken.push(job.data);
      }
      return taken;
    },
    async close() {
      if (!(await settledWithin(CLOSE_DEADLINE_MS, worker.close()))) void worker.disconnect().catch(() => {});
      await settledWithin(DISCONNECT_DEADLINE_MS, queue.close());
      blocking.disconnect();
    },
  };
}

const settledWithin = (ms: number, work: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    delay(ms, false, { ref: false }),
  ]);
