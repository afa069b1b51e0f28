import { resolveNotifications } from "@evenkeel/core/config/resolve-discovery.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startReceiver } from "../test-support/receiver.ts";
import { messageOf } from "./message.ts";
import { NotSent, send } from "./send.ts";

let receiver: Awaited<ReturnType<typeof startReceiver>>;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver[Symbol.asyncDispose]());

const message = messageOf("pager", "shop", {
  id: "1-0",
  event: { type: "panic", on: true, version: 1, atMs: 1_790_000_000_000 },
});

const attempt = (url = receiver.url, timeoutMs = 10_000) => {
  const [webhook] = resolveNotifications({
    notifications: [{ name: "pager", url, timeoutMs }],
  } as unknown as ConfigDocument);
  return send(message, webhook as NonNullable<typeof webhook>, null, Date.now());
};

/** Why it failed. */
const fault = async (url?: string, timeoutMs?: number): Promise<NotSent> => {
  const error = await attempt(url, timeoutMs).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotSent);
  expect(String(error)).not.toContain("hidden");
  return error as NotSent;
};

test.each([200, 202, 204])("%d is success", async (status) => {
  receiver.answers({ status });
  await attempt();
  expect(receiver.received[0]?.body).toEqual(message.event);
});

test.each([
  [301, false],
  [400, false],
  [404, false],
  [410, true],
  [500, false],
])("%d is none; whether it is the end of it: %s", async (status, final) => {
  receiver.answers({ status, headers: { location: receiver.url } });
  expect(await fault()).toMatchObject({ message: `status ${status}`, final });
  expect(receiver.received).toHaveLength(1);
});

test("a receiver may ask for time", async () => {
  receiver.answers({ status: 503, headers: { "retry-after": "7" } });
  expect(await fault()).toMatchObject({ waitMs: 7_000 });
});

test("a receiver that does not answer in time, or is not there, is told as such, without the URL", async () => {
  receiver.answers({ status: 0 });
  expect((await fault(receiver.url, 100)).message).toBe("no answer within 100 ms");
  await receiver.down();
  expect((await fault()).message).toBe("ECONNREFUSED");
  expect((await fault("http://no.such.host.invalid/?token=hidden")).message).toMatch(/ENOTFOUND|EAI_AGAIN/);
});
