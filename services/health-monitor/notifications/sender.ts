// What this monitor does with a message out of the queue: one attempt, and what follows from how it went.
import type { Notification } from "@evenkeel/core/config/resolve-discovery.ts";
import type { DeadLetterStore } from "@evenkeel/ledger/dead-letters.ts";
import type { Log } from "@evenkeel/runtime/log.ts";
import type { Message } from "./message.ts";
import type { NotificationMetrics } from "./metrics.ts";
import { createGate, type Gate, waitMs } from "./pace.ts";
import type { Attempt } from "./queue.ts";
import { createSecretFiles } from "./secret-file.ts";
import { NotSent, send } from "./send.ts";

/** Another monitor may have seen the configuration that names a webhook this much earlier, from its event on. */
const UNKNOWN_MAX_MS = 30_000;
const UNKNOWN_WAIT_MS = 1_000;

export interface SenderOptions {
  deadLetters: Pick<DeadLetterStore, "add">;
  metrics: NotificationMetrics;
  log: Log;
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** In [0, 1) */
  chance: () => number;
}

export interface Sender {
  configure(webhooks: readonly Notification[]): void;
  /** @throws only when Redis does not take a dead letter */
  attempt(message: Message, failed: number): Promise<Attempt>;
  /** Those that are not to wait any longer. @throws when Redis does not answer */
  giveUp(messages: readonly Message[], reason: string): Promise<void>;
}

interface Target {
  webhook: Notification;
  gate: Gate;
  /** The last attempt of this monitor failed. */
  failing: boolean;
}

export function createSender({ deadLetters, metrics, log, clock, chance }: SenderOptions): Sender {
  const secrets = createSecretFiles();
  let targets = new Map<string, Target>();

  const bury = async ({ webhook, event, messageId }: Message, attempts: number, reason: string) => {
    await deadLetters.add({ webhook, event, messageId, attempts, reason, failedAtMs: clock() });
    metrics.dead.inc({ webhook });
  };

  const post = async (message: Message, webhook: Notification) => {
    const key = webhook.secretFile === null ? null : await secrets.key(webhook.secretFile);
    await send(message, webhook, key, clock());
  };

  return {
    configure(webhooks) {
      const next = new Map<string, Target>();
      for (const webhook of webhooks) {
        const { gate, failing } = targets.get(webhook.name) ?? {
          gate: createGate(clock, chance),
          failing: false,
        };
        next.set(webhook.name, { webhook, gate, failing });
      }
      for (const name of targets.keys()) if (!next.has(name)) metrics.forget(name);
      targets = next;
      secrets.keep(new Set(webhooks.map(({ secretFile }) => secretFile ?? "")));
    },
    async giveUp(messages, reason) {
      for (const message of messages) await bury(message, 0, reason);
      if (messages.length > 0) log.warn({ messages: messages.length, reason }, "notifications given up");
    },
    async attempt(message, failed) {
      const { webhook: name, event } = message;
      const target = targets.get(name);
      if (!target)
        return clock() - event.atMs < UNKNOWN_MAX_MS
          ? { is: "put off", waitMs: UNKNOWN_WAIT_MS }
          : { is: "over" }; // no longer configured
      const { webhook, gate } = target;
      const putOffMs = gate.enter(failed === 0);
      if (putOffMs > 0) return { is: "put off", waitMs: putOffMs };
      try {
        await post(message, webhook);
      } catch (error) {
        const { message: reason } = error as Error;
        const { waitMs: askedMs, final } = error instanceof NotSent ? error : new NotSent(reason);
        gate.left(false, askedMs);
        metrics.failed.inc({ webhook: name });
        if (!target.failing) log.warn({ webhook: name, reason }, "webhook does not take notifications");
        target.failing = true;
        if (!final && failed + 1 < webhook.attempts) {
          return { is: "failed", waitMs: waitMs(failed + 1, askedMs, chance()), reason };
        }
        await bury(message, failed + 1, reason);
        log.warn({ webhook: name, event: event.id, attempts: failed + 1, reason }, "notification given up");
        return { is: "given up", reason };
      }
      gate.left(true);
      if (target.failing) log.info({ webhook: name }, "webhook takes notifications again");
      target.failing = false;
      metrics.sent.inc({ webhook: name });
      metrics.lag.observe({ webhook: name }, Math.max(0, clock() - event.atMs) / 1_000);
      return { is: "over" };
    },
  };
}
