// One attempt: a POST, and what its answer means.
import type { Notification } from "@evenkeel/core/config/resolve-discovery.ts";
import { headersOf, type Message } from "./message.ts";
import { retryAfterMs } from "./pace.ts";

const GONE = 410;

/** Why an attempt failed, in words that hold nothing of the webhook's URL. */
export class NotSent extends Error {
  override name = "NotSent";
  /** The receiver wants nothing more. */
  readonly final: boolean;
  /** How long it asks to be left alone; 0: it says nothing of it. */
  readonly waitMs: number;

  constructor(message: string, { final = false, waitMs = 0 } = {}) {
    super(message);
    this.final = final;
    this.waitMs = waitMs;
  }
}

/** @throws NotSent unless the answer is 2xx */
export async function send(
  { event, messageId }: Message,
  { url, timeoutMs }: Notification,
  key: Buffer | null,
  nowMs: number,
): Promise<void> {
  const body = JSON.stringify(event);
  const response = await fetch(url, {
    method: "POST",
    headers: headersOf(messageId, body, key, nowMs),
    body,
    redirect: "manual", // where it leads was not configured
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((error: Error) => {
    throw new NotSent(reasonOf(error, timeoutMs));
  });
  void response.body?.cancel().catch(() => {}); // what it says does not matter
  if (response.ok) return;
  const { status, headers } = response;
  throw new NotSent(`status ${status}`, {
    final: status === GONE,
    waitMs: retryAfterMs(headers.get("retry-after"), nowMs),
  });
}

/** Codes only: messages may quote the URL. */
function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs} ms`;
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "no valid answer";
}
