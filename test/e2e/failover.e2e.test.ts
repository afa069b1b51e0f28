// What clients see when something dies: nothing.
import { createServer, type Server } from "node:http";
import { Redis } from "ioredis";
import { afterEach, describe, expect, inject, it } from "vitest";
import { provideRedis } from "../../libs/cli/redis/provide.ts";
import { createRedisLedger } from "../../libs/ledger/redis-ledger.ts";
import { eventChannel } from "../../libs/runtime/keys.ts";
import { waitFor } from "../support/cluster.ts";
import { constantRate, failures } from "../support/load.ts";
import { openScene, POOL, type Scene, sumRows, total } from "../support/scene.ts";

const PER_SECOND = 500;
/** `REDIS_AWAY_MS=10000 npm run test:e2e -- failover` is the long form. */
const REDIS_AWAY_MS = Number(process.env.REDIS_AWAY_MS ?? 4_000);

let scene: Scene;
afterEach(() => scene?.end());

const loadFor = (url: string, ms: number) =>
  waitFor(
    (
      (until) => () =>
        Date.now() >= until
    )(Date.now() + ms),
    { timeoutMs: ms + 5_000, what: url },
  );

/** Takes a dead backend's port and counts the requests that still come, other than probes. */
async function trap(url: string): Promise<{ hits: () => number; close: () => Promise<void> }> {
  let hits = 0;
  const server: Server = createServer((request) => {
    if (request.url !== "/healthz") hits += 1;
    request.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(Number(new URL(url).port), "127.0.0.1", resolve));
  return {
    hits: () => hits,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe("500 GET/s over 3 gateways", () => {
  it("lose no response to a killed backend, which no gateway picks 1 s later, and which comes back after good probes", async () => {
    scene = await openScene({
      weights: [1, 1, 1],
      gateways: 3,
      schedulers: 2,
      monitors: 2,
      redisUrl: inject("redisUrl"),
    });
    const victim = scene.backends[0] as (typeof scene.backends)[0];
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    await waitFor(() => load.answers.length > 2 * PER_SECOND, {
      timeoutMs: 20_000,
      what: "two seconds of load",
    });
    await victim.kill();
    await loadFor("1 s after the kill", 1_000);
    const trapped = await trap(victim.url);
    const seen = load.answers.length;
    await waitFor(() => load.answers.length > seen + 3 * PER_SECOND, {
      timeoutMs: 20_000,
      what: "three more seconds",
    });
    expect(trapped.hits()).toBe(0);
    await trapped.close();
    const before = load.answers.length;
    await victim.restart();
    const back = () => load.answers.slice(before).filter((answer) => answer.backend === victim.id).length;
    await waitFor(() => back() > PER_SECOND / 2, { timeoutMs: 20_000, what: "the backend to serve again" });
    const answers = await load.stop();
    console.log(
      answers.length,
      "responses,",
      await scene.counter("evenkeel_gateway_retries_total{"),
      "retries",
    );
    expect(failures(answers)).toEqual([]);
  });

  it("lose no response while all schedulers are killed and Redis is away, and count right within 3 s after", async () => {
    const redis = await provideRedis({ env: { ...process.env, EVENKEEL_REDIS_URL: "" }, say: () => {} });
    scene = await openScene({
      weights: [1, 2, 3],
      delayMs: 20,
      gateways: 3,
      schedulers: 2,
      monitors: 1,
      redisUrl: redis.url,
    });
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    await waitFor(() => load.answers.length > PER_SECOND, { timeoutMs: 20_000, what: "a second of load" });
    for (const scheduler of scene.cluster.schedulers) scene.cluster.kill(scheduler);
    await redis.stop();
    await loadFor("the time without Redis", REDIS_AWAY_MS);
    const views = Object.values(await scene.views());
    expect(views.map((view) => view.deciding)).toEqual(["fallback", "fallback", "fallback"]);
    if (!redis.restart)
      throw new Error("needs a redis-server of this machine, to start it again on its port");
    const again = await redis.restart();
    try {
      await waitFor(async () => (await scene.pool()).rows, {
        timeoutMs: 20_000,
        what: "a scheduler to answer",
      });
      const answeredAtMs = Date.now();
      await waitFor(
        async () => {
          const all = Object.values(await scene.views());
          return all.every((view) => view.deciding === "scheduler");
        },
        { timeoutMs: 3_000, what: "every gateway to be scheduled again" },
      );
      console.log("scheduled again after", Date.now() - answeredAtMs, "ms");
      const answers = await load.stop();
      await waitFor(async () => total(sumRows((await scene.pool()).rows)) === 0, {
        timeoutMs: 2_000,
        what: "counts of 0",
      });
      const { backends } = await scene.pool();
      expect(backends.map((backend) => backend.inflight)).toEqual([0, 0, 0]);
      const alone = await scene.counter("evenkeel_gateway_decisions_total{", 'source="fallback"');
      console.log(answers.length, "responses,", alone, "of them decided by the gateways alone");
      expect(alone).toBeGreaterThan(PER_SECOND);
      expect(failures(answers)).toEqual([]);
    } finally {
      await again.stop();
    }
  });
});

describe("a pub/sub message that is lost", () => {
  it("leaves every gateway with the right state within 2 s", async () => {
    scene = await openScene({
      weights: [1, 1, 1],
      gateways: 3,
      schedulers: 2,
      monitors: 1,
      redisUrl: inject("redisUrl"),
    });
    const { prefix } = scene.cluster;
    const redis = new Redis(inject("redisUrl"));
    // The same atomic change, its event published where nobody listens.
    const deaf = new Proxy(redis, {
      get(target, property) {
        if (property !== "fcall") return Reflect.get(target, property, target);
        return (...args: unknown[]) =>
          Reflect.apply(
            target.fcall as unknown as (...all: unknown[]) => unknown,
            target,
            args.map((arg) => (arg === eventChannel(prefix) ? "nobody-listens-here" : arg)),
          );
      },
    });
    await createRedisLedger({ redis: deaf, prefix }).setMode(POOL, "b2", "draining");
    const changedAtMs = Date.now();
    await waitFor(
      async () => Object.values(await scene.views()).every((view) => !view.eligible.includes("b2")),
      { timeoutMs: 2_000, what: "every gateway to know that b2 is draining" },
    );
    console.log("known everywhere after", Date.now() - changedAtMs, "ms");
    redis.disconnect();
  });
});
