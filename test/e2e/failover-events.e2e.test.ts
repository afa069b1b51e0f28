// How soon every gateway knows that the health of a backend has changed: from the event, and without one.
import { Redis } from "ioredis";
import { afterEach, describe, expect, it } from "vitest";
import { createRedisLedger } from "../../libs/ledger/redis-ledger.ts";
import { waitFor } from "../support/cluster.ts";
import { openScene, POOL, type Scene } from "../support/scene.ts";

const GATEWAYS = 2;
const CHANGES = 6;
/** Long enough out for whoever only looks now and then. */
const OUT_MS = 1_500;
const SEEN = "evenkeel_gateway_health_seen_seconds";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A cluster without load or probes on a Redis of its own, and a ledger to change the health of a backend with. */
async function open() {
  const scene = await openScene({
    ...{ weights: [1, 1, 1], gateways: GATEWAYS, schedulers: 1, monitors: 1 },
    pool: {
      health: undefined as never,
      slowStart: { windowMs: 0 },
      ejectMs: OUT_MS,
      eject: { maxMs: OUT_MS },
    },
  });
  cleanups.push(() => scene.end());
  const redis = new Redis(scene.cluster.redis?.url ?? "");
  cleanups.push(() => redis.disconnect());
  const ledger = createRedisLedger({ redis, prefix: scene.cluster.prefix });
  const { url } = (await scene.pool()).backends.find(({ id }) => id === "b2") as { url: string };
  const known = (eligible: boolean) => async () =>
    Object.values(await scene.views()).every((view) => view.eligible.includes("b2") === eligible);
  /** Out and in again, and every gateway has noticed. */
  const change = async () => {
    for (const ok of [false, true]) {
      for (let i = 0; i < 3; i += 1) await ledger.observe(POOL, [{ backend: "b2", url, ok }]);
      await waitFor(known(ok), {
        timeoutMs: 5_000,
        what: `every gateway to know that b2 is ${ok ? "in" : "out"}`,
      });
    }
  };
  return { scene, redis, change };
}

const seen = (scene: Scene, by: "event" | "read", le: string) =>
  scene.counter(`${SEEN}_bucket{`, `by="${by}"`, `le="${le}"`);

describe("a change of a backend's health", () => {
  it("is known to every gateway from the event", async () => {
    const { scene, change } = await open();
    for (let i = 0; i < CHANGES; i += 1) await change();
    const all = await seen(scene, "event", "+Inf");
    console.log(
      "of",
      all,
      "within 20 ms:",
      await seen(scene, "event", "0.02"),
      "within 5:",
      await seen(scene, "event", "0.005"),
    );
    expect(all).toBeGreaterThanOrEqual(CHANGES * GATEWAYS);
    expect(await seen(scene, "event", "0.2")).toBe(all);
  });

  it("is known to every gateway within 1.2 s when pub/sub is cut, idle ones too", async () => {
    const { scene, redis, change } = await open();
    await redis.call("ACL", "SETUSER", "default", "-subscribe");
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await waitFor(
      async () =>
        Number(await redis.call("PUBSUB", "NUMPAT")) + (await redis.pubsub("CHANNELS")).length === 0,
      {
        timeoutMs: 5_000,
        what: "nobody to listen",
      },
    );
    const before = await seen(scene, "event", "+Inf");
    for (let i = 0; i < CHANGES; i += 1) await change();
    const all = await seen(scene, "read", "+Inf");
    const inTime = await seen(scene, "read", "1.2");
    console.log("of", all, "within 1.2 s:", inTime, "within 1 s:", await seen(scene, "read", "1"));
    expect(await seen(scene, "event", "+Inf")).toBe(before);
    expect(all).toBeGreaterThanOrEqual(CHANGES * GATEWAYS);
    expect(inTime).toBe(all);
  });
});
