// Degraded modes are features: each keeps serving, and shows in a metric.
import { Redis } from "ioredis";
import { afterEach, describe, expect, inject, it } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { constantRate, failures, type Load } from "../support/load.ts";
import { openScene, type Scene } from "../support/scene.ts";

const PER_SECOND = 200;
const REDIS_PAUSE_MS = 2_000;

let scene: Scene;
afterEach(() => scene?.end());

const untilAnswers = (load: Load, more: number) => {
  const enough = load.answers.length + more;
  return waitFor(() => load.answers.length >= enough, { timeoutMs: 30_000, what: `${more} more answers` });
};

const schedulerMetric = async (name: string) => {
  const url = `${scene.cluster.schedulers[0]?.url}/metrics`;
  const line = (await scene.client.get(url)).body.split("\n").find((one) => one.startsWith(name));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(" ") + 1));
};

describe("with every health-monitor gone", () => {
  it("nothing is ejected for it, traffic still takes a dead backend out, and a metric says so", async () => {
    const redisUrl = inject("redisUrl");
    scene = await openScene({
      weights: [1, 1, 1],
      gateways: 2,
      schedulers: 1,
      monitors: 2,
      restart: false,
      redisUrl,
    });
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    for (const monitor of scene.cluster.monitors) scene.cluster.kill(monitor);
    await waitFor(async () => (await schedulerMetric('evenkeel_members{role="health-monitor"}')) === 0, {
      timeoutMs: 15_000,
      what: "the alarm metric",
    });
    expect((await scene.pool()).backends.every((backend) => backend.ready)).toBe(true);
    await scene.backends[1]?.kill();
    await waitFor(async () => (await scene.pool()).backends[1]?.reason === "traffic", {
      timeoutMs: 10_000,
      what: "traffic to take the dead backend out",
    });
    const dead = load.answers.length;
    await scene.backends[1]?.restart();
    await waitFor(() => load.answers.slice(dead).some((answer) => answer.backend === "b2"), {
      timeoutMs: 20_000,
      what: "it to return unproven",
    });
    expect(failures(await load.stop())).toEqual([]);
  });
});

describe("with more than half of a pool dead", () => {
  it("every active backend is used, what can be retried is answered, and it ends by itself", async () => {
    const redisUrl = inject("redisUrl");
    scene = await openScene({ weights: [1, 1, 1], gateways: 2, schedulers: 1, monitors: 1, redisUrl });
    const load = constantRate(scene.client, scene.urls, PER_SECOND / 4);
    await Promise.all([scene.backends[0]?.kill(), scene.backends[1]?.kill()]);
    await waitFor(async () => (await scene.counter("evenkeel_gateway_panic{")) === 2, {
      timeoutMs: 15_000,
      what: "both gateways to know of the panic",
    });
    expect((await scene.pool()).panic).toBe(true);
    await untilAnswers(load, PER_SECOND / 4);
    await Promise.all([scene.backends[0]?.restart(), scene.backends[1]?.restart()]);
    await waitFor(async () => (await scene.counter("evenkeel_gateway_panic{")) === 0, {
      timeoutMs: 20_000,
      what: "the panic to end",
    });
    await untilAnswers(load, 50);
    const answers = await load.stop();
    expect(answers.filter((answer) => answer.status === 200).length).toBeGreaterThan(answers.length * 0.9);
    expect(answers.slice(-50).every((answer) => answer.status === 200)).toBe(true);
  });
});

describe("with a Redis that does not answer for a while", () => {
  it("no request waits for it or fails, and decisions come from the shared count again afterwards", async () => {
    const redisUrl = inject("redisUrl");
    scene = await openScene({ weights: [1, 1, 1], gateways: 2, schedulers: 1, monitors: 1, redisUrl });
    const load = constantRate(scene.client, scene.urls, PER_SECOND);
    await untilAnswers(load, PER_SECOND);
    const redis = new Redis(redisUrl);
    await redis.client("PAUSE", REDIS_PAUSE_MS, "ALL");
    await waitFor(async () => (await scene.counter("evenkeel_gateway_fallback{")) === 2, {
      timeoutMs: REDIS_PAUSE_MS,
      what: "both gateways to decide alone",
    });
    await waitFor(async () => (await scene.counter("evenkeel_gateway_fallback{")) === 0, {
      timeoutMs: 15_000,
      what: "both gateways to be scheduled again",
    });
    await untilAnswers(load, PER_SECOND);
    redis.disconnect();
    expect(failures(await load.stop())).toEqual([]);
    expect(await scene.counter("evenkeel_gateway_settle_failures_total{")).toBeGreaterThan(0);
  });
});

describe("a draining gateway", () => {
  it("answers what it has begun, and leaves no count behind", async () => {
    const redisUrl = inject("redisUrl");
    scene = await openScene({
      weights: [1, 1],
      delayMs: 1_500,
      gateways: 2,
      schedulers: 1,
      monitors: 1,
      restart: false,
      redisUrl,
    });
    const open = Array.from({ length: 10 }, () => scene.client.get(scene.urls[0] as string));
    await waitFor(async () => (await scene.pool()).backends.reduce((sum, b) => sum + b.inflight, 0) === 10, {
      timeoutMs: 5_000,
      what: "10 in flight",
    });
    const [leaving] = scene.cluster.gateways;
    if (!leaving) throw new Error("no gateway");
    scene.cluster.kill(leaving, "SIGTERM");
    expect(failures(await Promise.all(open))).toEqual([]);
    await waitFor(async () => (await scene.pool()).backends.every((b) => b.inflight === 0), {
      timeoutMs: 2_000,
      what: "counts of 0",
    });
  });
});
