import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { PoolFacts } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it, onTestFinished } from "vitest";
import { CONFIG } from "../test-support/api-scene.ts";
import {
  createMemoryConfigStore,
  EPOCH,
  type MemoryConfigStore,
} from "../test-support/memory-config-store.ts";
import { createReconciler } from "./reconciler.ts";

const withPools = (...names: string[]): ConfigDocument => ({
  ...CONFIG,
  routes: [],
  pools: names.map((name) => ({ name, backends: [] })),
});

/** A reconciler over a store that tests may share, and a ledger that only remembers what it was told. */
function scene(
  seed: () => Promise<ConfigDocument | null> = async () => null,
  configs: MemoryConfigStore = createMemoryConfigStore(),
) {
  const pools = new Map<string, PoolFacts>();
  const problems: string[] = [];
  const versions: number[] = [];
  const ledger = { down: null as Error | null, configures: 0 };
  const reconciler = createReconciler({
    configs,
    ledger: {
      async configure(facts) {
        if (ledger.down) throw ledger.down;
        ledger.configures += 1;
        pools.set(facts.pool, facts);
        return 1;
      },
      async remove(pool) {
        if (ledger.down) throw ledger.down;
        pools.delete(pool);
      },
    },
    seed,
    onReconciled: ({ version }) => versions.push(version),
    onProblem: (error) => problems.push(error.message),
  });
  onTestFinished(() => reconciler.close());
  return { configs, ledger, pools, problems, versions, ...reconciler };
}

describe("the reconciler", () => {
  it("puts every pool of the applied configuration into the ledger, and takes out those that are gone", async () => {
    const s = scene();
    await s.configs.apply(withPools("a", "b"), 0);
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["a", "b"]);
    expect(s.pools.get("a")).toMatchObject({ configVersion: EPOCH, policy: "least-connections" });
    await s.configs.apply(withPools("b", "c"), EPOCH);
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["b", "c"]);
    expect(s.versions).toEqual([EPOCH, EPOCH + 1]);
  });

  it("asks nothing of the ledger while nothing changed", async () => {
    const s = scene();
    await s.configs.apply(withPools("a"), 0);
    await s.reconcile();
    await s.reconcile();
    expect(s.ledger.configures).toBe(1);
  });

  it("keeps a failed backend out for three probe intervals, or for ejectMs if that is longer", async () => {
    const s = scene();
    const pool = (name: string, ejectMs: number): PoolDocument => ({
      name,
      backends: [],
      ejectMs,
      health: { protocol: "tcp", intervalMs: 1_000 },
    });
    await s.configs.apply({ ...CONFIG, routes: [], pools: [pool("a", 500), pool("b", 5_000)] }, 0);
    await s.reconcile();
    expect(s.pools.get("a")?.holdMs).toBe(3_000);
    expect(s.pools.get("b")?.holdMs).toBe(5_000);
  });

  it("lacks a configuration until there is one", async () => {
    const s = scene();
    await s.reconcile();
    expect(s.lacking()).toBe("no configuration applied");
    await s.configs.apply(withPools("a"), 0);
    await s.reconcile();
    await s.first;
    expect(s.lacking()).toBeNull();
  });

  it("starts from the seed only while no configuration is applied", async () => {
    const s = scene(async () => withPools("seed"));
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["seed"]);
    await s.configs.apply(withPools("later"), EPOCH);
    await s.reconcile();
    const another = scene(async () => withPools("seed"), s.configs);
    await another.reconcile();
    expect([...another.pools.keys()]).toEqual(["later"]);
    expect(s.configs.applied?.version).toBe(EPOCH + 1);
  });

  it("takes what another scheduler seeded first", async () => {
    const s = scene(async () => withPools("mine"));
    s.configs.beforeApply = () => {
      s.configs.applied = { version: EPOCH, seeded: true, document: withPools("theirs") };
    };
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["theirs"]);
  });

  it("reports a faulty seed once and takes the corrected one", async () => {
    let seed: () => Promise<ConfigDocument> = () => Promise.reject(new Error("seed.yaml:3:1 no"));
    const s = scene(() => seed());
    await s.reconcile();
    await s.reconcile();
    expect(s.problems).toEqual(["seed.yaml:3:1 no"]);
    expect(s.lacking()).toBe("seed.yaml:3:1 no");
    seed = async () => withPools("a");
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["a"]);
    expect(s.lacking()).toBeNull();
  });

  it.each([
    ["all of it", null],
    ["the last changes", { version: EPOCH, seeded: true, document: withPools("old") }],
    [
      "all of it, and another scheduler planted its seed",
      { version: 9 * EPOCH, seeded: true, document: withPools("seed") },
    ],
  ])("puts the known configuration back, under a later version, when the store lost %s", async (_, left) => {
    const s = scene(async () => withPools("seed"));
    await s.reconcile();
    await s.configs.apply(withPools("changed"), EPOCH);
    await s.reconcile();
    s.configs.applied = left;
    s.pools.clear();
    await s.reconcile();
    const lastSeen = Math.max(EPOCH + 1, left?.version ?? 0);
    expect(s.configs.applied).toEqual({
      version: lastSeen + 1,
      seeded: false,
      document: withPools("changed"),
    });
    expect(s.pools.get("changed")?.configVersion).toBe(lastSeen + 1);
  });

  it("tries again what the ledger failed, and says so once", async () => {
    const s = scene();
    await s.configs.apply(withPools("a"), 0);
    s.ledger.down = new Error("Command timed out");
    s.trigger();
    await expect(s.reconcile()).rejects.toThrow("timed out");
    s.trigger();
    await expect.poll(() => s.lacking()).toBe("Command timed out");
    s.ledger.down = null;
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["a"]);
    expect(s.problems).toEqual(["Command timed out"]);
    expect(s.lacking()).toBeNull();
  });

  it("follows by itself when nobody triggers it", async () => {
    const s = scene();
    await s.configs.apply(withPools("a"), 0);
    await expect.poll(() => [...s.pools.keys()], { timeout: 4_000 }).toEqual(["a"]);
  });

  it("carries out nothing of a configuration it does not understand, says why, and takes the next", async () => {
    const s = scene();
    await s.configs.apply(withPools("a"), 0);
    await s.reconcile();
    s.configs.applied = { version: EPOCH + 5, seeded: false, document: null as unknown as ConfigDocument };
    await expect(s.reconcile()).rejects.toThrow(`configuration ${EPOCH + 5} is not understood`);
    expect([...s.pools.keys()]).toEqual(["a"]);
    await s.configs.apply(withPools("b"), EPOCH + 5);
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["b"]);
  });

  it("restores one pool, also one of a configuration it has not seen yet", async () => {
    const s = scene();
    await s.configs.apply(withPools("a", "b"), 0);
    await s.reconcile();
    s.pools.clear();
    expect(await s.restore("a")).toBe(true);
    expect([...s.pools.keys()]).toEqual(["a"]);
    await s.configs.apply(withPools("c"), EPOCH);
    expect(await s.restore("c")).toBe(true);
    expect(await s.restore("a")).toBe(false);
  });

  it("runs a whole pass after every call, one for all that come during another", async () => {
    const s = scene();
    let passes = 0;
    const { version } = s.configs;
    s.configs.version = () => {
      passes += 1;
      return version();
    };
    const early = s.reconcile();
    await Promise.all([early, s.reconcile(), s.reconcile(), s.reconcile()]);
    expect(passes).toBe(2);
  });
});
