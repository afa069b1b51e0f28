// The promise of the product: one exact count, shared by all gateways.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { waitFor } from "../support/cluster.ts";
import { alwaysOpen, failures } from "../support/load.ts";
import { openScene, rowOf, type Scene, sumRows, total } from "../support/scene.ts";

const OPEN = 60;
const SAMPLES = 60;
const WEIGHTS = [1, 2, 3];

const inflightOf = async (scene: Scene) =>
  Object.fromEntries((await scene.pool()).backends.map((backend) => [backend.id, backend.inflight]));

const waitUntilIdle = (scene: Scene, timeoutMs: number) =>
  waitFor(async () => total(await inflightOf(scene)) === 0, { timeoutMs, what: "every count to be 0" });

describe("three gateways, two schedulers and two monitors over backends weighted 1:2:3", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({
      weights: WEIGHTS,
      delayMs: 100,
      gateways: 3,
      schedulers: 2,
      monitors: 2,
      redisUrl: inject("redisUrl"),
    });
  });
  afterAll(() => scene?.end());

  it("give each backend its weight's share of 60 requests always open, within 3 %", async () => {
    const load = alwaysOpen(scene.client, scene.urls, OPEN);
    await waitFor(async () => total(await inflightOf(scene)) >= OPEN - 5, {
      timeoutMs: 10_000,
      what: "the load",
    });
    const sums: Record<string, number> = {};
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      for (const [id, n] of Object.entries(await inflightOf(scene))) sums[id] = (sums[id] ?? 0) + n;
      const before = load.answers.length;
      await waitFor(() => load.answers.length >= before + 15, {
        timeoutMs: 5_000,
        what: "the load to move on",
      });
    }
    expect(failures(await load.stop())).toEqual([]);
    const shares = Object.fromEntries(Object.entries(sums).map(([id, sum]) => [id, sum / total(sums)]));
    console.log("share of in-flight", shares);
    WEIGHTS.forEach((weight, i) => {
      const fair = weight / 6;
      expect(Math.abs((shares[`b${i + 1}`] as number) - fair) / fair).toBeLessThanOrEqual(0.03);
    });
  });

  it("have every count at 0 within 2 s after the load has stopped", async () => {
    const load = alwaysOpen(scene.client, scene.urls, OPEN);
    await waitFor(() => load.answers.length > 200, { timeoutMs: 10_000, what: "200 answers" });
    await load.stop();
    await waitUntilIdle(scene, 2_000);
    expect(sumRows((await scene.pool()).rows)).toEqual({});
    for (const view of Object.values(await scene.views())) expect(view.held).toEqual({});
  });

  it("count static requests too", async () => {
    const load = alwaysOpen(
      scene.client,
      scene.urls.map((url) => `${url}bound/x`),
      9,
    );
    await waitFor(async () => (await inflightOf(scene)).b1 === 9, {
      timeoutMs: 5_000,
      what: "9 in flight on b1",
    });
    const answers = await load.stop();
    expect(new Set(answers.map((answer) => answer.backend))).toEqual(new Set(["b1"]));
    await waitUntilIdle(scene, 2_000);
  });
});

describe("three gateways with requests that stay open", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({
      weights: WEIGHTS,
      delayMs: 9_000,
      gateways: 3,
      schedulers: 2,
      monitors: 1,
      redisUrl: inject("redisUrl"),
    });
  });
  afterAll(() => scene?.end());

  it("share a count that equals what they hold; a killed gateway's part leaves within 4 s, the others' stays", async () => {
    const load = alwaysOpen(scene.client, scene.urls, OPEN);
    await waitFor(async () => total(await inflightOf(scene)) === OPEN, {
      timeoutMs: 8_000,
      what: "60 in flight",
    });
    const views = await scene.views();
    const held: Record<string, number> = {};
    for (const view of Object.values(views)) {
      for (const [id, n] of Object.entries(view.held)) held[id] = (held[id] ?? 0) + n;
    }
    expect(total(held)).toBe(OPEN);
    expect(await inflightOf(scene)).toEqual(held);

    const [killed, ...others] = scene.cluster.gateways;
    if (!killed) throw new Error("no gateway");
    const killedRow = Object.keys((await scene.pool()).rows).find((id) => id.startsWith(`${killed.id}.`));
    if (killedRow === undefined) throw new Error(`${killed.id} has no row`);
    const killedAtMs = Date.now();
    scene.cluster.kill(killed);
    const { rows } = await waitFor(
      async () => {
        const pool = await scene.pool();
        return pool.rows[killedRow] ? null : pool;
      },
      { timeoutMs: 4_000, what: "the killed gateway's row to leave" },
    );
    console.log("the killed gateway's counts left after", Date.now() - killedAtMs, "ms");
    for (const gateway of others) expect(rowOf(rows, gateway.id)).toEqual(views[gateway.id]?.held);
    await load.stop();
  });
});
