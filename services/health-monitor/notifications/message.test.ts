import { resolveNotifications } from "@evenkeel/core/config/resolve-discovery.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { LoggedEvent } from "@evenkeel/core/ledger/ledger.ts";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { concerns, headersOf, messageOf, secretKey } from "./message.ts";

const WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const RAW = "a secret that an operator wrote";

const logged: LoggedEvent = {
  id: "1790000000000-0",
  event: { type: "panic", on: true, version: 7, atMs: 1_790_000_000_000 },
};

const webhook = (more: object = {}) => {
  const [one] = resolveNotifications({
    notifications: [{ name: "pager", url: "http://127.0.0.1:1/", ...more }],
  } as unknown as ConfigDocument);
  return one as NonNullable<typeof one>;
};

describe("a message", () => {
  it("says what happened, where and when", () => {
    expect(messageOf("pager", "shop", logged).event).toEqual({
      id: "shop/1790000000000-0",
      pool: "shop",
      type: "panic",
      on: true,
      version: 7,
      atMs: 1_790_000_000_000,
      at: "2026-09-21T14:13:20.000Z",
    });
  });

  it("has one id for one event and webhook, whoever makes it, and without a full stop", () => {
    const { messageId } = messageOf("pager", "shop.eu", logged);
    expect(messageOf("pager", "shop.eu", logged).messageId).toBe(messageId);
    expect(messageOf("chat", "shop.eu", logged).messageId).not.toBe(messageId);
    expect(messageId).toMatch(/^evt_[\w-]{22}$/);
  });

  it.each([
    ["whsec_", WHSEC, new Webhook(WHSEC)],
    ["raw text", RAW, new Webhook(RAW, { format: "raw" })],
    ["raw text with a line end", `${RAW}\n`, new Webhook(RAW, { format: "raw" })],
  ])("is signed so that receivers can verify it: %s", (_, secret, receiver) => {
    const headers = headersOf("evt_1", '{"a":1}', secretKey(secret), Date.now());
    expect(receiver.verify('{"a":1}', headers)).toEqual({ a: 1 });
    expect(() => receiver.verify('{"a":2}', headers)).toThrow("No matching signature");
  });

  it("is not signed without a secret", () => {
    expect(headersOf("evt_1", "{}", null, 1_000)).not.toHaveProperty("webhook-signature");
  });

  it.each(["", "\n", "whsec_", "whsec_!"])("cannot be signed with an empty secret: %j", (secret) => {
    expect(() => secretKey(secret)).toThrow("empty");
  });
});

describe("a webhook", () => {
  it("is told of health and panic of all pools, unless it says otherwise", () => {
    expect([concerns(webhook(), "shop", "health"), concerns(webhook(), "shop", "panic")]).toEqual([
      true,
      true,
    ]);
    expect(concerns(webhook(), "shop", "members")).toBe(false);
    const other = webhook({ events: ["members"], pools: ["shop"] });
    expect([concerns(other, "shop", "members"), concerns(other, "billing", "members")]).toEqual([
      true,
      false,
    ]);
    expect(concerns(other, "shop", "health")).toBe(false);
  });
});
