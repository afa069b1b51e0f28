import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Pool, resolvePool } from "@evenkeel/core/config/resolve.ts";
import { resolveNotifications } from "@evenkeel/core/config/resolve-discovery.ts";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import { facts } from "@evenkeel/core/ledger/fixtures.ts";
import { createDeadLetters } from "@evenkeel/ledger/dead-letters.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { notifiedKey } from "@evenkeel/runtime/keys.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { openBlocking, openRedis } from "@evenkeel/runtime/redis.ts";
import { Webhook } from "standardwebhooks";
import { describe, expect, inject, it } from "vitest";
import { startReceiver } from "../test-support/receiver.ts";
import { until } from "../test-support/until.ts";
import { startNotifications } from "./notifications.ts";

const url = inject("redisUrl");
let prefixes = 0;
const newPrefix = () => `notifications-test-${process.pid}-${prefixes++}`;
const log = createLog("silent", { role: "test", id: "test" });

const POOL: Pool = resolvePool({ name: "shop", backends: [{ id: "b1", url: "http://127.0.0.1:9001" }] });

const webhooksOf = (...notifications: object[]) =>
  resolveNotifications({
    notifications: notifications.map((one) => ({ name: "pager", events: ["mode"], ...one })),
  } as unknown as ConfigDocument);

/** The part of a health-monitor that notifies, in process. */
async function startMonitor(prefix: string, { leads = true, waitingMax = 5_000 } = {}) {
  let leading = leads;
  const redis = openRedis({ url, name: "notifying" }, log);
  await until("connected", () => redis.status === "ready");
  const metrics = createMetrics();
  const notifications = startNotifications({
    redis,
    openBlocking: () => openBlocking({ url, name: "notifying:jobs" }, log),
    prefix,
    ledger: createRedisLedger({ redis, prefix }),
    isLeading: () => leading,
    metrics,
    log,
    waitingMax,
  });
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await notifications.stop();
    redis.disconnect();
  };
  return {
    ...notifications,
    redis,
    tells: (...webhooks: object[]) =>
      notifications.configure({ pools: [POOL], notifications: webhooksOf(...webhooks) }, Date.now()),
    lead(on: boolean) {
      leading = on;
    },
    count: async (name: string) => {
      const values = (await metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
      return values.reduce((sum, { value }) => sum + value, 0);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
type Monitor = Awaited<ReturnType<typeof startMonitor>>;

/** A pool, and things that happen to it. */
async function happenings(prefix: string) {
  const redis = openRedis({ url, name: "happenings" }, log);
  await until("connected", () => redis.status === "ready");
  const ledger = createRedisLedger({ redis, prefix });
  await ledger.configure(facts({}, { pool: "shop", backends: POOL.backends }));
  const deadLetters = createDeadLetters({ redis, prefix });
  let draining = false;
  return {
    redis,
    ledger,
    deadLetters,
    dead: async () => (await deadLetters.list(100)).letters,
    /** Answers the event's id. */
    async happens(...told: Monitor[]): Promise<string> {
      draining = !draining;
      await ledger.setMode("shop", "b1", draining ? "draining" : "active");
      for (const monitor of told) monitor.onPoolEvent("shop");
      return `shop/${(await ledger.events("shop", null, 10_000)).at(-1)?.id}`;
    },
    /** The leading monitor has seen the pool, so that what happens from now on is told. */
    seen: () =>
      until("the pool is seen", async () => (await redis.hexists(notifiedKey(prefix), "shop")) === 1),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}

describe.concurrent("notifications", () => {
  it("tell each webhook what happens from now on, signed, so that receivers can verify it", async () => {
    const prefix = newPrefix();
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const secretFile = join(tmpdir(), `${prefix}-secret`);
    await writeFile(secretFile, `${secret}\n`);
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using unsigned = await startReceiver();
    await using monitor = await startMonitor(prefix);
    await world.happens();
    monitor.tells({ url: receiver.url, secretFile }, { name: "chat", url: unsigned.url });
    await world.seen();
    const id = await world.happens(monitor);
    await until("both are told", () => receiver.received.length > 0 && unsigned.received.length > 0);
    const [{ headers, text, body }] = receiver.received as [(typeof receiver.received)[0]];
    expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toEqual(body);
    expect(body).toMatchObject({
      id,
      pool: "shop",
      type: "mode",
      backend: "b1",
      from: "draining",
      to: "active",
    });
    expect(body.at).toBe(new Date(body.atMs).toISOString());
    expect(unsigned.received[0]?.headers).not.toHaveProperty("webhook-signature");
    expect(receiver.ids()).toEqual([id]);
    // Counted once the receiver's answer has come back.
    await until("both count", async () => (await monitor.count("evenkeel_notifications_sent_total")) === 2);
    await rm(secretFile);
  });

  it("come without an event that says so, by a poll", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url });
    await world.seen();
    const id = await world.happens();
    await until("it is told", () => receiver.received.length > 0);
    expect(receiver.ids()).toEqual([id]);
  });

  it("are sent when a receiver that was down is back, each once, with the id it had", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver({ status: 500 });
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url });
    await world.seen();
    const id = await world.happens(monitor);
    await until("it was tried", () => receiver.received.length > 0);
    await receiver.down();
    await until(
      "it was tried in vain",
      async () => (await monitor.count("evenkeel_notifications_failed_total")) > 1,
    );
    receiver.answers({ status: 200 });
    await receiver.up();
    await until("it is taken", async () => (await monitor.count("evenkeel_notifications_sent_total")) === 1);
    const [first, ...more] = receiver.received;
    expect(more.map(({ body, headers }) => [body.id, headers["webhook-id"]])).toEqual([
      [id, first?.headers["webhook-id"]],
    ]);
  });

  it("are not sent twice when a monitor dies after queueing, before it has noted that", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using first = await startMonitor(prefix);
    first.tells({ url: receiver.url });
    await world.seen();
    const noted = (await world.redis.hget(notifiedKey(prefix), "shop")) as string;
    const ids = [await world.happens(first), await world.happens(first)];
    await until("it is told", () => receiver.received.length === 2);
    await first.stop();
    await world.redis.hset(notifiedKey(prefix), "shop", noted);
    await using second = await startMonitor(prefix);
    second.tells({ url: receiver.url });
    ids.push(await world.happens(second));
    await until("the next is told", () => receiver.ids().includes(ids[2] as string));
    expect(receiver.ids().toSorted()).toEqual(ids);
  });

  it("are not sent twice when two monitors lead for a while, and are shared by those that do not", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    const monitors = [
      await startMonitor(prefix),
      await startMonitor(prefix),
      await startMonitor(prefix, { leads: false }),
    ];
    for (const monitor of monitors) monitor.tells({ url: receiver.url });
    await world.seen();
    const ids: string[] = [];
    for (let i = 0; i < 40; i += 1) ids.push(await world.happens(...monitors));
    await until("all are told", () => receiver.received.length >= ids.length);
    for (const monitor of monitors) await monitor.stop();
    expect(receiver.ids().toSorted()).toEqual(ids.toSorted());
  });

  it("lack and repeat nothing when the lead goes from one monitor to another and back", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using first = await startMonitor(prefix);
    await using second = await startMonitor(prefix, { leads: false });
    for (const monitor of [first, second]) monitor.tells({ url: receiver.url });
    await world.seen();
    const ids: string[] = [];
    for (const [old, next] of [
      [first, second],
      [second, first],
    ] as const) {
      ids.push(await world.happens(first, second));
      old.lead(false);
      ids.push(await world.happens(first, second)); // while nobody leads
      next.lead(true);
      ids.push(await world.happens(first, second));
      await until("all so far are told", () => receiver.received.length >= ids.length);
    }
    expect(receiver.ids().toSorted()).toEqual(ids.toSorted());
  });

  it("are queued by nobody who does not lead", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using idle = await startMonitor(prefix, { leads: false });
    idle.tells({ url: receiver.url });
    await world.happens(idle);
    await using leading = await startMonitor(prefix);
    leading.tells({ url: receiver.url });
    await world.seen();
    const id = await world.happens(idle, leading);
    await until("it is told", () => receiver.received.length > 0);
    expect(receiver.ids()).toEqual([id]);
  });

  it("become dead letters after all attempts, and are sent when an operator wants it", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver({ status: 302, headers: { location: "http://127.0.0.1:1/" } });
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url, attempts: 2 });
    await world.seen();
    const id = await world.happens(monitor);
    await until("it is dead", async () => (await world.dead()).length > 0);
    const [letter] = await world.dead();
    expect(letter).toMatchObject({ webhook: "pager", attempts: 2, reason: "status 302", event: { id } });
    expect(receiver.received).toHaveLength(2);
    expect(JSON.stringify(letter)).not.toContain("hidden");
    receiver.answers({ status: 200 });
    expect(await world.deadLetters.retry(letter?.id as string)).toBe(1);
    await until("it is sent", () => receiver.received.length === 3);
    expect(receiver.received.at(-1)?.headers["webhook-id"]).toBe(letter?.messageId);
    await until("nothing is left", async () => (await world.deadLetters.list(1)).retrying === 0);
    expect(await world.dead()).toEqual([]);
  });

  it("end at once with a receiver that is gone", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver({ status: 410 });
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url });
    await world.seen();
    await world.happens(monitor);
    await until("it is dead", async () => (await world.dead()).length > 0);
    expect((await world.dead())[0]).toMatchObject({ attempts: 1, reason: "status 410" });
  });

  it("wait as long as a receiver asks for", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver({ status: 429, headers: { "retry-after": "3" } });
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url });
    await world.seen();
    await world.happens(monitor);
    await until("it was tried twice", () => receiver.received.length === 2);
    const [first, second] = receiver.received.map(({ atMs }) => atMs) as [number, number];
    expect(second - first).toBeGreaterThanOrEqual(2_900);
  });

  it("reach one webhook while another one answers nothing", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using hanging = await startReceiver({ status: 0 });
    await using receiver = await startReceiver();
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: hanging.url, timeoutMs: 60_000 }, { name: "chat", url: receiver.url });
    await world.seen();
    for (let i = 0; i < 20; i += 1) await world.happens(monitor);
    await until("all are told", () => receiver.received.length === 20);
    await hanging.down();
  });

  it("are given up when too many wait, and the others are sent", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver({ status: 503 });
    await using monitor = await startMonitor(prefix, { waitingMax: 5 });
    monitor.tells({ url: receiver.url });
    await world.seen();
    const ids: string[] = [];
    for (let i = 0; i < 30; i += 1) ids.push(await world.happens(monitor));
    await until("some are dead", async () => (await world.dead()).length >= 20);
    const dead = await world.dead();
    expect(dead.every(({ reason }) => reason === "more than 5 wait")).toBe(true);
    expect(await monitor.count("evenkeel_notifications_dead_total")).toBe(dead.length);
    receiver.answers({ status: 200 });
    await until(
      "the others are sent",
      async () => {
        const sent = await monitor.count("evenkeel_notifications_sent_total");
        return sent + (await world.dead()).length === ids.length;
      },
      60_000,
    );
  }, 90_000);

  it("begin anew at the end of the log when webhooks are configured again", async () => {
    const prefix = newPrefix();
    await using world = await happenings(prefix);
    await using receiver = await startReceiver();
    await using monitor = await startMonitor(prefix);
    monitor.tells({ url: receiver.url });
    await world.seen();
    monitor.tells();
    await until("nothing is noted", async () => (await world.redis.exists(notifiedKey(prefix))) === 0);
    await world.happens(monitor);
    monitor.tells({ url: receiver.url });
    await world.seen();
    const id = await world.happens(monitor);
    await until("it is told", () => receiver.received.length > 0);
    expect(receiver.ids()).toEqual([id]);
  });
});
