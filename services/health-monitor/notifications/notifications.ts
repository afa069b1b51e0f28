// Who is told of what happens to pools. The monitor that leads queues what is new; all of them send. What nobody took
// after all attempts becomes a dead letter, which an operator may have sent again.
import type { Config } from "@evenkeel/core/config/resolve.ts";
import type { Notification } from "@evenkeel/core/config/resolve-discovery.ts";
import type { Ledger } from "@evenkeel/core/ledger/ledger.ts";
import { createDeadLetters } from "@evenkeel/ledger/dead-letters.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Metrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { createLeading, WAITING_MAX } from "./leading.ts";
import { createNotificationMetrics } from "./metrics.ts";
import { type NotificationQueue, openQueue } from "./queue.ts";
import { createSender } from "./sender.ts";
import { createTailing } from "./tailing.ts";

/** Every log is read this often, whatever events say; also dead letters that are to be sent again. */
const POLL_INTERVAL_MS = 2_000;
/** Changes of pools that come together are read together. */
const GATHER_MS = 20;

export interface NotificationsOptions {
  redis: Redis;
  /** A connection of its own, that may block, for the worker. */
  openBlocking: () => Redis;
  prefix: string;
  ledger: Pick<Ledger, "events">;
  /** Whether this is the one monitor that queues. Two for a moment do no harm. */
  isLeading: () => boolean;
  metrics: Metrics;
  log: Log;
  clock?: () => number;
  chance?: () => number;
  waitingMax?: number;
}

export interface Notifications {
  /**
   * Nothing is read or sent before the first.
   * @param sinceMs when it was applied, ms since the epoch: what happened before is not told of where nobody was told before
   */
  configure(config: Pick<Config, "pools" | "notifications">, sinceMs: number): void;
  /** There is something new in a pool's log. */
  onPoolEvent(pool: string): void;
  /** Finishes what is under way, within a deadline. */
  stop(): Promise<void>;
}

export function startNotifications(options: NotificationsOptions): Notifications {
  const { redis, prefix, isLeading, log, clock = Date.now, chance = Math.random } = options;
  const { waitingMax = WAITING_MAX } = options;
  const metrics = createNotificationMetrics(options.metrics);
  const deadLetters = createDeadLetters({ redis, prefix });
  const sender = createSender({ deadLetters, metrics, log, clock, chance });
  let queue: NotificationQueue | null = null;
  const tailing = createTailing({ ...options, clock, metrics, queue: () => queue });
  const leading = createLeading({ tailing, sender, deadLetters, metrics, log, waitingMax });
  let pools: ReadonlySet<string> | null = null;
  let webhooks: readonly Notification[] = [];
  let sinceMs = 0;
  const changed = new Set<string>();
  let stopped = false;

  const lead = async (everything: boolean) => {
    const known = pools as ReadonlySet<string>;
    const due = everything ? null : [...changed].filter((pool) => known.has(pool));
    changed.clear();
    if (webhooks.length === 0) return tailing.keep(new Set()); // the next one is not told of what was before it
    if (queue) await leading({ queue, told: { webhooks, sinceMs }, pools: known, changed: due }); // else it opens, and all is read then
  };

  const pass = async (everything: boolean) => {
    if (pools === null) return;
    if (isLeading()) return lead(everything);
    tailing.forget();
    changed.clear();
    metrics.waiting.set(0);
  };

  const run = oneAtATime((everything) =>
    // Redis is away: that is said where its connection is watched.
    pass(everything).catch((error: Error) =>
      log.debug({ reason: error.message }, "logs not read for notifications"),
    ),
  );
  const openOrClose = oneAfterTheOther(async () => {
    const wanted = webhooks.length > 0 && !stopped;
    if (wanted && !queue) queue = openQueue({ ...options, attempt: sender.attempt });
    if (wanted || !queue) return;
    const old = queue;
    queue = null;
    await old.close();
  });
  const timer = setInterval(() => void run(true), POLL_INTERVAL_MS);
  let gathering: NodeJS.Timeout | undefined;

  return {
    configure(config, appliedMs) {
      sinceMs = appliedMs;
      pools = new Set(config.pools.map(({ name }) => name));
      webhooks = config.notifications;
      sender.configure(webhooks);
      void openOrClose().then(() => run(true));
    },
    onPoolEvent(pool) {
      if (webhooks.length === 0 || !pools?.has(pool) || !isLeading()) return;
      changed.add(pool);
      gathering ??= setTimeout(() => {
        gathering = undefined;
        void run(false);
      }, GATHER_MS);
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      clearTimeout(gathering);
      await openOrClose();
    },
  };
}

/** Asked for while one is running, there is one more after it. Never rejects if `act` does not. */
function oneAtATime(act: (everything: boolean) => Promise<unknown>): (everything: boolean) => Promise<void> {
  let running: Promise<void> | null = null;
  let next: { everything: boolean } | null = null;
  const loop = async () => {
    while (next) {
      const { everything } = next;
      next = null;
      await act(everything);
    }
    running = null;
  };
  return (everything) => {
    next = { everything: everything || (next?.everything ?? false) };
    running ??= loop();
    return running;
  };
}

function oneAfterTheOther(act: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(act);
    return last;
  };
}
