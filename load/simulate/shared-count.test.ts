import { describe, expect, it } from "vitest";
import { type Contender, type Scene, simulate } from "./engine.ts";

const HOP = { toSchedulerMs: 10, ledgerCallMs: 5, toGatewayMs: 10 };
const HOP_MS = 25;

const decidedBy = (pool: object, weights: "true" | "equal" = "equal"): Contender => ({
  name: "shared",
  by: "shared-count",
  pool,
  weights,
  hop: HOP,
});

const scene = (gateways: number, arrivalsPerMs: number): Scene => ({
  backends: Array.from({ length: 6 }, (_, i) => ({ slots: Number.POSITIVE_INFINITY, speed: i < 2 ? 2 : 1 })),
  gateways,
  demand: { kind: "constant", meanMs: 30 },
  arrivalsPerMs,
  warmupMs: 0,
  measureMs: 3_000,
});

/** Between the moments at which requests were sent on, ms. */
function gaps(sentMs: Float64Array): number[] {
  const moments = [...new Set(sentMs)].sort((a, b) => a - b);
  return moments.slice(1).map((moment, i) => moment - (moments[i] as number));
}

describe("the simulated protocol", () => {
  it("has one settle in flight per gateway: what arrives meanwhile is decided together", async () => {
    const { sentMs } = await simulate(scene(1, 1), decidedBy({}), 1);
    expect(sentMs.length).toBeGreaterThan(2_800);
    expect(Math.min(...gaps(sentMs))).toBeGreaterThan(HOP_MS - 0.001);
    expect(Math.max(...gaps(sentMs))).toBeLessThan(HOP_MS + 5);
  });

  it("has one ledger call in flight, whoever asks", async () => {
    const { sentMs } = await simulate(scene(50, 1), decidedBy({}), 1);
    expect(Math.min(...gaps(sentMs))).toBeGreaterThan(HOP.ledgerCallMs - 0.001);
    expect(new Set(sentMs).size).toBeGreaterThan(400);
  });

  it("makes a request wait for the settle in flight and for its own, no longer", async () => {
    const { responseMs } = await simulate(scene(1, 1), decidedBy({}), 1);
    expect(Math.min(...responseMs)).toBeGreaterThan(HOP_MS + 30 / 2 - 0.001);
    expect(Math.max(...responseMs)).toBeLessThan(2 * HOP_MS + 30 + 0.001);
  });

  it("configures the policy and the weights of the scene", async () => {
    const { backends } = await simulate(scene(3, 1), decidedBy({ policy: "round-robin" }, "true"), 1);
    const sent = [0, 1, 2, 3, 4, 5].map(
      (backend) => backends.filter((b) => b === backend).length / backends.length,
    );
    [2, 2, 1, 1, 1, 1].forEach((weight, i) => {
      expect(sent[i]).toBeCloseTo(weight / 8, 2);
    });
  });

  it("states ends as well as beginnings, so that who is slow gets less", async () => {
    const slow = { slots: Number.POSITIVE_INFINITY, speed: 0.1 };
    const backends = [...scene(3, 1).backends.slice(2), slow];
    const { backends: sent } = await simulate({ ...scene(3, 1), backends }, decidedBy({}), 1);
    const share = sent.filter((backend) => backend === backends.length - 1).length / sent.length;
    // Equal counts mean rates like the speeds: 0.1 of 4.1. Counts that never fell would be equal shares: 1 of 5.
    expect(share).toBeLessThan(0.06);
  });
});
