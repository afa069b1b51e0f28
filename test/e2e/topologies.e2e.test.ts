// Whole clusters of gateways, schedulers and monitors on the Redis that a production has: what clients see when a
// master of it is killed is nothing.
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { constantRate, failures, type Load } from "../support/load.ts";
import { startClusterTopology } from "../support/redis-cluster.ts";
import { type RedisProcess, redisExecutable, WHY_SKIPPED } from "../support/redis-process.ts";
import { startSentinelTopology } from "../support/redis-sentinel.ts";
import { openScene, POOL, type Scene, sumRows, total } from "../support/scene.ts";

const PER_SECOND = 100;
const FAILOVER_TIMEOUT_MS = 20_000;

let scene: Scene;
afterEach(() => scene?.end());

async function openOn(redisUrl: string): Promise<Scene> {
  scene = await openScene({
    weights: [1, 2, 3],
    delayMs: 10,
    gateways: 2,
    schedulers: 2,
    monitors: 1,
    prefix: POOL, // makes the queue of sweeps, {shop}:sweeps, lie where the pool does
    redisUrl,
  });
  return scene;
}

const answered = (load: Load, more: number) => {
  const enough = load.answers.length + more;
  return waitFor(() => load.answers.length >= enough, { timeoutMs: 20_000, what: `${more} more answers` });
};

const scheduled = () => scene.counter("evenkeel_gateway_decisions_total{", 'source="scheduler"');

/** Ends the load, of which nothing may have been lost, and nothing may be left in the counts. */
async function expectNothingLost(load: Load): Promise<void> {
  expect(failures(await load.stop())).toEqual([]);
  await waitFor(
    async () => {
      const { rows, backends } = await scene.pool();
      return total(sumRows(rows)) === 0 && backends.every(({ inflight }) => inflight === 0);
    },
    { timeoutMs: 5_000, what: "counts of 0" },
  );
}

/** Without traffic only a probe can find it, and only an event or a settle can tell the gateways. */
async function expectProbesToTakeOut(id: "b1"): Promise<void> {
  await scene.backends[0]?.kill();
  await waitFor(
    async () => {
      const backend = (await scene.pool()).backends.find((one) => one.id === id);
      const views = Object.values(await scene.views());
      return (
        backend?.reason === "probe" && !backend.ready && views.every(({ eligible }) => !eligible.includes(id))
      );
    },
    { timeoutMs: 25_000, what: "every gateway to know that probes took the dead backend out" },
  );
}

async function expectToSurvive(master: RedisProcess, load: Load, what: string): Promise<void> {
  await answered(load, PER_SECOND);
  expect(await scheduled()).toBeGreaterThan(0);
  await master.kill();
  const killedAtMs = performance.now();
  await waitFor(
    async () => Object.values(await scene.views()).some(({ deciding }) => deciding === "fallback"),
    {
      timeoutMs: FAILOVER_TIMEOUT_MS,
      what: "a gateway to decide alone",
    },
  );
  await waitFor(
    async () => Object.values(await scene.views()).every(({ deciding }) => deciding === "scheduler"),
    {
      timeoutMs: FAILOVER_TIMEOUT_MS,
      what: "every gateway to be scheduled again",
    },
  );
  console.log(
    what,
    "scheduled again",
    Math.round(performance.now() - killedAtMs),
    "ms after its master was killed",
  );
  const before = await scheduled();
  await answered(load, PER_SECOND);
  expect(await scheduled()).toBeGreaterThan(before);
}

describe.skipIf(redisExecutable === null)(`gateways, schedulers and monitors${WHY_SKIPPED}`, () => {
  it("on a Redis Cluster lose no request to the death of their pool's master, and go on probing", async () => {
    const redis = await startClusterTopology(`any:{${POOL}}:key`);
    onTestFinished(redis.stop);
    await openOn(redis.url);
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    await expectToSurvive(redis.guarded, load, "Redis Cluster:");
    await expectNothingLost(load);
    await expectProbesToTakeOut("b1");
  });

  it("behind Sentinel lose no request to the death of the master, and go on probing", async () => {
    const redis = await startSentinelTopology();
    onTestFinished(redis.stop);
    await openOn(redis.url);
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    await expectToSurvive(redis.master, load, "Sentinel:");
    await expectNothingLost(load);
    await expectProbesToTakeOut("b1");
  });
});
