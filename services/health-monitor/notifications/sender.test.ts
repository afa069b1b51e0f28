import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { describe, expect, it } from "vitest";
import { type Message, messageOf } from "./message.ts";
import { createNotificationMetrics } from "./metrics.ts";
import { createSender } from "./sender.ts";

const NOW_MS = 1_790_000_000_000;

const sender = () =>
  createSender({
    deadLetters: { add: async () => {} },
    metrics: createNotificationMetrics(createMetrics()),
    log: createLog("silent", { role: "test", id: "test" }),
    clock: () => NOW_MS,
    chance: () => 0.5,
  });

const message = (atMs: number): Message =>
  messageOf("pager", "shop", { id: `${atMs}-0`, event: { type: "panic", on: true, version: 1, atMs } });

describe("a message for a webhook that this monitor does not know", () => {
  it("waits while the configuration that names it may be on its way", async () => {
    expect(await sender().attempt(message(NOW_MS - 100), 0)).toMatchObject({ is: "put off" });
  });

  it("is over when it is old: the webhook was removed", async () => {
    expect(await sender().attempt(message(NOW_MS - 60_000), 0)).toEqual({ is: "over" });
  });
});
