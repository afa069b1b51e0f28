import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { PoolFacts } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CONFIG } from "../test-support/api-scene.ts";
import {
  createMemoryConfigStore,
  EPOCH,
  type MemoryConfigStore,
  stored,
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
      s.configs.applied = stored(withPools("theirs"), EPOCH, { seeded: true });
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
    ["the last changes", stored(withPools("old"), EPOCH, { seeded: true })],
    [
      "all of it, and another scheduler planted its seed",
      stored(withPools("seed"), 9 * EPOCH, { seeded: true }),
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
    expect(s.configs.applied).toMatchObject(
      stored(withPools("changed"), lastSeen + 1, { documentVersion: EPOCH + 1 }),
    );
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
    s.configs.applied = stored(null as unknown as ConfigDocument, EPOCH + 5);
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
    const { versions } = s.configs;
    s.configs.versions = () => {
      passes += 1;
      return versions();
    };
    const early = s.reconcile();
    await Promise.all([early, s.reconcile(), s.reconcile(), s.reconcile()]);
    expect(passes).toBe(2);
  });
});

const FOUND = { shop: { file: [{ id: "found-1", url: "http://127.0.0.1:9009" }] } };
const SHOP: ConfigDocument = {
  ...CONFIG,
  routes: [],
  pools: [{ name: "shop", backends: [], discovery: { file: { path: "shop.yaml" } } }],
};

describe("the reconciler, with backends that were found", () => {
  const idsIn = (pools: Map<string, PoolFacts>) => pools.get("shop")?.backends.map(({ id }) => id);

  it("puts them into the ledger with those that are configured, and takes them out again", async () => {
    const s = scene();
    s.configs.applied = stored(SHOP, EPOCH, { discovered: FOUND });
    await s.reconcile();
    expect(idsIn(s.pools)).toEqual(["found-1"]);
    s.configs.applied = stored(SHOP, EPOCH, { version: EPOCH + 1, discovered: {} });
    await s.reconcile();
    expect(idsIn(s.pools)).toEqual([]);
    expect(s.versions).toEqual([EPOCH, EPOCH + 1]);
  });

  it.each([
    ["everything", null],
    ["the last finds", stored(SHOP, EPOCH)],
    ["the last change and the last finds", stored(withPools("old"), EPOCH - 1)],
  ])("puts what was written and found back when the store lost %s", async (_what, left) => {
    const s = scene();
    s.configs.applied = stored(SHOP, EPOCH, { version: EPOCH + 5, discovered: FOUND });
    await s.reconcile();
    s.configs.applied = left;
    await s.reconcile();
    expect(s.configs.applied).toEqual(stored(SHOP, EPOCH, { version: EPOCH + 6, discovered: FOUND }));
    expect(idsIn(s.pools)).toEqual(["found-1"]);
  });

  it("puts back what was written alone where finds were published after the loss", async () => {
    const s = scene();
    s.configs.applied = stored(SHOP, EPOCH + 5, { discovered: {} });
    await s.reconcile();
    s.configs.applied = stored(withPools("old"), EPOCH, { version: EPOCH + 90, discovered: FOUND });
    await s.reconcile();
    expect(s.configs.applied).toEqual(stored(SHOP, EPOCH + 5, { version: EPOCH + 91, discovered: FOUND }));
    expect(idsIn(s.pools)).toEqual(["found-1"]);
  });

  const two = (foundInA: number): MemoryConfigStore["applied"] => {
    const discovery = { file: { path: "x" } };
    const pools: PoolDocument[] = ["a", "b"].map((name) => ({ name, backends: [], discovery }));
    const file = [{ id: "found", url: `http://127.0.0.1:${9_000 + foundInA}` }];
    const more = { version: EPOCH + foundInA, discovered: { a: { file } } };
    return stored({ ...CONFIG, routes: [], pools }, EPOCH, more);
  };

  it("passes over pools in which nothing changed, and writes them all the same after a while", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const s = scene();
    s.configs.applied = two(1);
    await s.reconcile();
    expect(s.ledger.configures).toBe(2);
    s.configs.applied = two(2);
    await s.reconcile();
    expect(s.ledger.configures).toBe(3);
    expect(s.pools.get("a")?.backends[0]?.url).toBe("http://127.0.0.1:9002");
    await s.reconcile();
    expect(s.ledger.configures).toBe(3);
    vi.advanceTimersByTime(10_000);
    await s.reconcile();
    await s.reconcile();
    expect(s.ledger.configures).toBe(5);
    expect(s.pools.get("b")?.configVersion).toBe(EPOCH + 2);
    vi.advanceTimersByTime(30_000);
    await s.reconcile();
    expect(s.ledger.configures).toBe(5);
    expect(s.versions).toEqual([EPOCH + 1, EPOCH + 2]);
  });

  it("writes all pools where the document changed, or something was lost", async () => {
    const s = scene();
    s.configs.applied = two(1);
    await s.reconcile();
    await s.configs.apply({ ...(two(1)?.written as ConfigDocument), debugHeaders: true }, null);
    await s.reconcile();
    expect(s.ledger.configures).toBe(4);
    s.configs.applied = null;
    s.pools.clear();
    await s.reconcile();
    expect([...s.pools.keys()]).toEqual(["a", "b"]);
  });

  it("goes on where a write failed", async () => {
    const s = scene();
    s.configs.applied = two(1);
    await s.reconcile();
    s.configs.applied = two(2);
    s.ledger.down = new Error("Command timed out");
    await expect(s.reconcile()).rejects.toThrow("timed out");
    s.ledger.down = null;
    await s.reconcile();
    expect(s.pools.get("a")?.backends[0]?.url).toBe("http://127.0.0.1:9002");
  });
});
