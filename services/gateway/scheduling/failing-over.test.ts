import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { Health } from "@evenkeel/core/health/state.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { seeded } from "../test-support/chance.ts";
import type { Pick } from "./scheduling.ts";
import { createScheduling } from "./settle-client.ts";

const pool = (name: string, more: Partial<PoolDocument> = {}) =>
  resolvePool({
    name,
    backends: [1, 2].map((i) => ({ id: `${name}${i}`, url: `http://${name}${i}` })),
    slowStart: { windowMs: 0 },
    ...more,
  });

/** A gateway that no scheduler answers, and that hears of its pools by events alone. */
function setUp() {
  const metrics = createMetrics();
  const scheduling = createScheduling({
    ...{ gatewayId: "g", schedulers: () => [], token: "", metrics },
    log: createLog("silent", { role: "gateway", id: "g" }),
    clock: () => performance.now(),
    now: () => 1_005,
    random: seeded(5),
  });
  onTestFinished(() => scheduling.stop());
  scheduling.setPools([pool("a", { failoverTo: "b" }), pool("b")]);
  let version = 0;
  const tell = (health: Health, ...backends: string[]) => {
    version += 1;
    const common = { health, mode: "active", reason: "probe", weightPercent: 100, drain: false } as const;
    const changes = backends.map((backend) => ({ backend, ...common }));
    scheduling.onEvent({ type: "pool", pool: "a", version, atMs: 1_000, changes });
  };
  const values = async (name: string) =>
    ((await metrics.registry.getSingleMetric(name)?.get())?.values ?? []).map(
      ({ labels, value }) => `${Object.values(labels).join(" ")} ${value}`,
    );
  return { scheduling, tell, values };
}

describe("a pool that this gateway hears is failing", () => {
  it("has its requests sent elsewhere from the event on until the event that ends it, which shows", async () => {
    const { scheduling, tell, values } = setUp();
    const away = () => scheduling.view().map(({ failover }) => failover);
    expect(await values("evenkeel_gateway_failover")).toEqual(["a 0"]);
    tell("unhealthy", "a1");
    expect([scheduling.serving("a"), scheduling.ready("a", "a1"), scheduling.ready("a", "a2")]).toEqual([
      "a",
      false,
      true,
    ]);
    tell("unhealthy", "a2");
    expect([scheduling.serving("a"), scheduling.serving("b"), ...away()]).toEqual(["b", "b", "b", null]);
    expect(await values("evenkeel_gateway_failover")).toEqual(["a 1"]);
    expect(await values("evenkeel_gateway_failed_over_total")).toEqual(["a b 1"]);
    tell("healthy", "a1", "a2");
    expect([scheduling.serving("a"), ...away()]).toEqual(["a", null, null]);
    expect(await values("evenkeel_gateway_failover")).toEqual(["a 0"]);
    scheduling.setPools([pool("a"), pool("b")]);
    expect(await values("evenkeel_gateway_failover")).toEqual([]);
    expect(await values("evenkeel_gateway_failed_over_total")).toEqual([]);
  });

  it("tells how long after the change it heard of it", async () => {
    const { tell, values } = setUp();
    tell("unhealthy", "a1", "a2");
    tell("unhealthy", "a1"); // no news
    const sights = await values("evenkeel_gateway_health_seen_seconds");
    expect(sights).toContain("0.002 event 0");
    expect(sights).toContain("0.005 event 2");
  });

  it("has its picks counted by backend, whoever decided", async () => {
    const { scheduling } = setUp();
    const picks: (Pick | null)[] = [];
    for (let i = 0; i < 10; i += 1) scheduling.acquire("a", {}, (pick) => picks.push(pick));
    await expect.poll(() => picks.length).toBe(10);
    picks.push(scheduling.hold("a", "a1"));
    const counts: Record<string, number> = {};
    for (const pick of picks) {
      if (pick === null) throw new Error("everybody is healthy");
      counts[pick.backend] = (counts[pick.backend] ?? 0) + 1;
      scheduling.release(pick, "success", 1);
    }
    expect(scheduling.view()[0]?.picks).toEqual(counts);
    expect(scheduling.view()[0]?.held).toEqual({});
  });
});
