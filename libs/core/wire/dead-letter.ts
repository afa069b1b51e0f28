// A notification that its receiver did not take: what is kept of it, and what the admin API shows.
import type { ShownEvent } from "./shown-event.ts";

/** What a receiver gets as its body. */
export type NotifiedEvent = ShownEvent & {
  /** `atMs` as ISO 8601. */
  at: string;
};

export interface DeadLetter {
  /** Of the dead letter; not of the event. */
  id: string;
  /** Its name in the configuration. */
  webhook: string;
  event: NotifiedEvent;
  /** What `webhook-id` was and will be. */
  messageId: string;
  attempts: number;
  /** Why the last one failed, without any credentials. */
  reason: string;
  failedAtMs: number;
}

export interface DeadLetters {
  /** The newest first. */
  letters: DeadLetter[];
  /** Of all that are kept. */
  size: number;
  /** Those to be sent again, but not yet queued. */
  retrying: number;
}
