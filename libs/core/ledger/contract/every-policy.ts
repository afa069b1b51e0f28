// What holds whatever the policy, and what it means to change it on a live pool.
import { describe, expect, it } from "vitest";
import { POLICIES, type Policy } from "../../config/schema-scheduling.ts";
import { facts, outcome, POOL } from "../fixtures.ts";
import type { BackendFacts, PoolFacts, Want } from "../ledger.ts";
import { type Create, createScene, type Scene, tally } from "./scene.ts";

const CRITERIA = [{ name: "connections", weight: 1, scale: 10 }];
const DISTANCES = { here: { here: 0, there: 5 } };
/** Says everything that any policy may want to know. */
const WANT: Want = { zone: "here", ranked: ["b", "a", "c"] };

const poolOf = (
  policy: Policy,
  weights: Record<string, number>,
  each: Record<string, Partial<BackendFacts>> = {},
): PoolFacts =>
  facts(weights, { policy, criteria: CRITERIA, distances: DISTANCES, fall: 1_000, failures: 1_000 }, each);

export function everyPolicy(create: Create): void {
  describe.each(POLICIES)("%s, as every policy,", (policy) => {
    const scene = createScene(create);
    if (policy !== "first" && policy !== "random") ties(scene, policy);
    limits(scene, policy);
    sessions(scene, policy);
    switching(scene, policy);
  });
}

function ties({ configure, passing }: Scene, policy: Policy): void {
  it("gives ties to the least recently picked", async () => {
    await configure(poolOf(policy, { b: 1, a: 1 }));
    expect(await passing(6)).toEqual(["a", "b", "a", "b", "a", "b"]);
  });
}

function limits(scene: Scene, policy: Policy): void {
  const { configure, picks, holds, counts } = scene;

  it("never exceeds maxInflight, and answers null when everyone has that", async () => {
    const full = { a: { maxInflight: 2 }, b: { maxInflight: 5 }, c: { maxInflight: 1 } };
    await configure(poolOf(policy, { a: 1, b: 1, c: 3 }, full));
    expect(tally(await picks(10, WANT))).toEqual({ a: 2, b: 5, c: 1, null: 2 });
    await holds({ a: 2, b: 4, c: 1 });
    expect(await picks(2, WANT)).toEqual(["b", null]);
    await holds({ a: 9, b: 9, c: 0 });
    expect(await picks(2, WANT)).toEqual(["c", null]);
  });

  it("never picks what a want excludes, and answers null when nothing is left", async () => {
    await configure(poolOf(policy, { a: 1, b: 1, c: 1 }));
    expect(tally(await picks(12, { ...WANT, exclude: ["b"] })).b).toBeUndefined();
    expect(tally(await picks(4, { ...WANT, exclude: ["a", "b"] }))).toEqual({ c: 4 });
    expect(await picks(1, { ...WANT, exclude: ["a", "b", "c", "ghost"] })).toEqual([null]);
  });

  it("never picks what drains or is disabled", async () => {
    await configure(poolOf(policy, { a: 1, b: 1, c: 1 }));
    await scene.ledger.setMode(POOL, "b", "draining");
    await scene.ledger.setMode(POOL, "a", "disabled");
    expect(tally(await picks(12, { ...WANT, stick: "b" }))).toEqual({ c: 12 });
    await scene.ledger.setMode(POOL, "c", "draining");
    expect(await picks(1, WANT)).toEqual([null]);
    expect(await counts()).toEqual({ a: 0, b: 0, c: 12 });
  });

  it("serves a pool of one, and none of an empty one", async () => {
    await configure(poolOf(policy, { b: 1 }));
    expect(await picks(3, WANT)).toEqual(["b", "b", "b"]);
    await configure(poolOf(policy, {}));
    expect(await picks(1, WANT)).toEqual([null]);
  });
}

function sessions(scene: Scene, policy: Policy): void {
  const { configure, picks, pick, holds, fails } = scene;
  const three = { a: 1, b: 1, c: 1 };

  it("keeps a session on its backend, before its own rule", async () => {
    await configure(poolOf(policy, three));
    await holds({ c: 50 });
    expect(await picks(10, { ...WANT, stick: "c" })).toEqual(Array(10).fill("c"));
  });

  it("lets a session go where its backend is out, draining, excluded, full or gone", async () => {
    await configure({ ...poolOf(policy, three, { b: { maxInflight: 3 } }), fall: 3, failures: 3 });
    const elsewhere = async (want: Want) => expect(await pick({ ...WANT, ...want })).not.toBe(want.stick);
    await elsewhere({ stick: "c", exclude: ["c"] });
    await elsewhere({ stick: "ghost" });
    await holds({ b: 3 });
    await elsewhere({ stick: "b" });
    await scene.ledger.setMode(POOL, "a", "draining");
    await elsewhere({ stick: "a" });
    await scene.ledger.setMode(POOL, "a", "active");
    await fails("c");
    await elsewhere({ stick: "c" });
  });
}

const HELD = { a: 5, b: 3, c: 1 };

/** What each policy does next in one and the same situation, in which no two agree by accident. */
const NEXT: Record<Policy, { picks: number; expected: Record<string, number> | ((of: Picked) => boolean) }> =
  {
    "least-connections": { picks: 2, expected: { c: 2 } },
    "round-robin": { picks: 3, expected: { a: 1, b: 1, c: 1 } },
    "least-time": { picks: 2, expected: { b: 2 } },
    "two-choices": { picks: 4, expected: ({ a }) => a === undefined },
    random: { picks: 60, expected: ({ a = 0, b = 0, c = 0 }) => Math.min(a, b, c) > 5 },
    first: { picks: 4, expected: { a: 4 } },
    hash: { picks: 1, expected: { b: 1 } },
    geo: { picks: 2, expected: { a: 2 } },
    criteria: { picks: 4, expected: { c: 4 } },
  };

type Picked = Partial<Record<string, number>>;

function switching(scene: Scene, policy: Policy): void {
  const { configure, picks, holds, reports, counts, advance } = scene;
  const each = {
    a: { zone: "here", cost: 9 },
    b: { zone: "there", cost: 9 },
    c: { zone: "there", cost: 0 },
  };
  const costly = [...CRITERIA, { name: "cost", weight: 1, scale: 9 }];
  const situation = (of: Policy) => ({ ...poolOf(of, { a: 1, b: 1, c: 1 }, each), criteria: costly });

  it("takes over a live pool from any other: no count is lost, and the next pick is its own", async () => {
    for (const before of POLICIES) {
      await configure(situation(before));
      await picks(20, WANT, "g2");
      await holds(HELD, "g1");
      const held = await counts();
      const rows = await scene.ledger.rows(POOL);
      await configure(situation(policy));
      expect(await counts(), `from ${before}`).toEqual(held);
      expect(await scene.ledger.rows(POOL)).toEqual(rows);
      await holds({}, "g2");
      await reports({
        a: outcome({ success: 50, latencyUs: 90_000 }),
        b: outcome({ success: 50, latencyUs: 1_000 }),
        c: outcome({ success: 50, latencyUs: 90_000 }),
      });
      const { picks: n, expected } = NEXT[policy];
      const picked = tally(await picks(n, WANT));
      if (typeof expected === "function") expect(expected(picked), `from ${before}`).toBe(true);
      else expect(picked, `from ${before}`).toEqual(expected);
      await holds({});
      advance(10_000);
    }
  });
}
