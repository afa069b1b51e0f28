// Many gateways, one count: what each backend gets does not depend on how many gateways there are.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { startCluster, type TestCluster, waitFor } from "../support/cluster.ts";
import { alwaysOpen, type Client, createClient, failures } from "../support/load.ts";
import { type PacedBackends, startPacedBackends } from "../support/paced.ts";
import { consecutivePorts } from "../support/scene.ts";

const GATEWAYS = 16;
const BACKENDS = 40;
const WEIGHTS = Array.from({ length: BACKENDS }, (_, i) => (i % 4 === 3 ? 1 : 2));
const WEIGHT = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
/** Twelve in flight for each unit of weight. */
const OPEN = 12 * WEIGHT;
/** Uneven, so that requests do not come in waves; some 470 a second in all. */
const SERVICES_MS = [1_100, 1_300, 1_600, 1_900, 2_200, 2_700];
const SAMPLES = 60;

describe("sixteen gateways over forty paced backends", () => {
  let backends: PacedBackends;
  let cluster: TestCluster;
  let client: Client;

  beforeAll(async () => {
    backends = await startPacedBackends(WEIGHTS.map(() => ({ slots: OPEN, slowness: 1 })));
    const port = await consecutivePorts(GATEWAYS);
    cluster = await startCluster({
      config: {
        listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
        routes: [{ name: "all", match: {}, proxy: "dynamic", pool: "fleet" }],
        pools: [
          {
            name: "fleet",
            backends: backends.urls.map((url, i) => ({ id: `b${i}`, url, weight: WEIGHTS[i] as number })),
          },
        ],
      },
      gateways: GATEWAYS,
      schedulers: 2,
      monitors: 1,
      redisUrl: inject("redisUrl"),
    });
    client = createClient();
  }, 120_000);
  afterAll(async () => {
    client?.close();
    await cluster?.stop();
    backends?.stop();
  });

  const inflight = async (): Promise<number[]> => {
    const answer = await client.get(`${cluster.schedulers[0]?.url}/v1/pools/fleet`);
    const { backends: states } = JSON.parse(answer.body) as { backends: { id: string; inflight: number }[] };
    return WEIGHTS.map((_, i) => states.find(({ id }) => id === `b${i}`)?.inflight ?? 0);
  };
  const total = (counts: readonly number[]) => counts.reduce((sum, n) => sum + n, 0);

  it(`give each backend its weight's share of ${OPEN} requests always open, within 3 %`, async () => {
    const urls = SERVICES_MS.flatMap((ms) => cluster.gateways.map(({ url }) => `${url}/?ms=${ms}`));
    const load = alwaysOpen(client, urls, OPEN);
    await waitFor(async () => total(await inflight()) >= OPEN - 10, { timeoutMs: 20_000, what: "the load" });
    const sums = WEIGHTS.map(() => 0);
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const before = load.answers.length;
      for (const [i, n] of (await inflight()).entries()) sums[i] = (sums[i] as number) + n;
      await waitFor(() => load.answers.length >= before + 60, {
        timeoutMs: 10_000,
        what: "the load to go on",
      });
    }
    expect(failures(await load.stop())).toEqual([]);
    const off = sums.map((sum, i) => Math.abs((sum * WEIGHT) / (total(sums) * (WEIGHTS[i] as number)) - 1));
    console.log("worst deviation of a backend from its share:", Math.max(...off).toFixed(4));
    expect(Math.max(...off)).toBeLessThanOrEqual(0.03);
  }, 120_000);
});
