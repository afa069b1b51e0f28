// What a webhook is sent: the event as JSON, signed as Standard Webhooks say (standardwebhooks.com). Pure.
import { createHmac, hash } from "node:crypto";
import type { Notification } from "@evenkeel/core/config/resolve-discovery.ts";
import type { LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import type { NotifiedEvent } from "@evenkeel/core/wire/dead-letter.ts";

/** One event for one webhook. */
export interface Message {
  webhook: string;
  event: NotifiedEvent;
  /** The same with every attempt, so that a receiver can tell a repeated message. */
  messageId: string;
}

const ID_CHARACTERS = 22;
const SECRET_PREFIX = "whsec_";

export const concerns = (
  { events, pools }: Notification,
  pool: string,
  type: NotifiedEvent["type"],
): boolean => events.includes(type) && (pools === null || pools.includes(pool));

export function messageOf(webhook: string, pool: string, { id, event }: LoggedEvent): Message {
  const eventId = `${pool}/${id}`;
  const at = new Date(event.atMs).toISOString();
  return { webhook, event: { ...event, id: eventId, pool, at }, messageId: messageId(webhook, eventId) };
}

/** Without a full stop, which separates what is signed. */
const messageId = (webhook: string, eventId: string): string =>
  `evt_${hash("sha256", `${webhook}/${eventId}`, "base64url").slice(0, ID_CHARACTERS)}`;

/** @param text `whsec_` and Base64, or the secret itself @throws when it is empty */
export function secretKey(text: string): Buffer {
  const secret = text.replace(/\r?\n$/, "");
  const key = secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), "base64")
    : Buffer.from(secret);
  if (key.length === 0) throw new Error("the secret is empty");
  return key;
}

/** @param key null: nothing is signed */
export function headersOf(
  messageId: string,
  body: string,
  key: Buffer | null,
  nowMs: number,
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signature =
    key && createHmac("sha256", key).update(`${messageId}.${timestamp}.${body}`).digest("base64");
  return {
    "content-type": "application/json",
    "user-agent": "evenkeel",
    "webhook-id": messageId,
    "webhook-timestamp": timestamp,
    ...(signature && { "webhook-signature": `v1,${signature}` }),
  };
}
