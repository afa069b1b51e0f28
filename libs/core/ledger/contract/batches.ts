// Batching is invisible: wants that are asked for together are served as if one after the other.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { POLICIES } from "../../config/schema-scheduling.ts";
import { facts, outcome, statement } from "../fixtures.ts";
import type { Statement, Want } from "../ledger.ts";
import { type Create, createScene, type Picks } from "./scene.ts";

const RUNS = 60;
const SEED = 7;
const IDS = ["a", "b", "c", "d", "e"];
const anyId = fc.constantFrom(...IDS);

const want = fc.record<Want>(
  {
    exclude: fc.array(anyId, { maxLength: 3 }),
    zone: fc.constantFrom("here", "there", "nowhere"),
    ranked: fc.uniqueArray(anyId, { maxLength: 4 }),
    stick: anyId,
    prefer: fc.record({ backend: anyId, below: fc.integer({ min: 1, max: 10 }) }),
  },
  { requiredKeys: [] },
);

const perBackend = <T>(value: fc.Arbitrary<T>) => fc.tuple(value, value, value, value, value);

const situation = fc.record({
  policy: fc.constantFrom(...POLICIES),
  weights: perBackend(fc.integer({ min: 1, max: 9 })),
  limits: perBackend(fc.option(fc.integer({ min: 1, max: 12 }), { freq: 2 })),
  held: perBackend(fc.nat(8)),
  latencies: perBackend(fc.integer({ min: 1, max: 90_000 })),
  starting: fc.boolean(),
  wants: fc.array(want, { minLength: 1, maxLength: 40, size: "max" }),
});

type Situation = typeof situation extends fc.Arbitrary<infer T> ? T : never;

const byId = <T>(values: readonly T[]) => Object.fromEntries(IDS.map((id, i) => [id, values[i] as T]));

const poolOf = (pool: string, { policy, weights, limits }: Situation, more = {}) =>
  facts(
    byId(weights),
    {
      pool,
      policy,
      slowStartMs: 30_000,
      spillAt: 1,
      criteria: ["connections", "latency", "distance"].map((name) => ({ name, weight: 1, scale: 4 })),
      distances: { here: { here: 0, there: 3 }, there: { here: 3, there: 0 } },
      ...more,
    },
    byId(limits.map((maxInflight, i) => ({ maxInflight, zone: i < 2 ? "here" : "there" }))),
  );

export function batches(create: Create): void {
  describe("batches", () => {
    const scene = createScene(create);
    let pools = 0;

    /** Two pools alike, in a situation in which everything matters. */
    const prepare = async (given: Situation) => {
      pools += 1;
      const names = [`together-${pools}`, `apart-${pools}`] as const;
      const success = byId(given.latencies.map((latencyUs) => outcome({ success: 5, latencyUs })));
      for (const name of names) {
        const whole = poolOf(name, given);
        const start = given.starting ? { backends: whole.backends.slice(1) } : {};
        await scene.ledger.configure({ ...whole, ...start });
        await scene.ledger.configure({ ...whole, configVersion: 2 });
        const first = statement("g1", 1, { full: true, held: byId(given.held), outcomes: success });
        await scene.ledger.settle(name, [first]);
      }
      return names;
    };
    const picksOf = async (pool: string, statements: Statement[]): Promise<Picks> =>
      (await scene.ledger.settle(pool, statements))?.replies.flatMap(({ picks }) => picks) ?? [];
    const countsOf = async (pool: string) =>
      (await scene.ledger.read(pool))?.backends.map(({ id, inflight }) => [id, inflight]);

    it("serve many wants of one statement as they would be served one at a time", async () => {
      await fc.assert(
        fc.asyncProperty(situation, async (given) => {
          const [together, apart] = await prepare(given);
          const one = await picksOf(together, [statement("g1", 2, { wants: given.wants })]);
          const each: Picks = [];
          for (const [i, want] of given.wants.entries()) {
            each.push(...(await picksOf(apart, [statement("g1", i + 2, { wants: [want] })])));
          }
          expect(one).toEqual(each);
          expect(await countsOf(together)).toEqual(await countsOf(apart));
        }),
        { numRuns: RUNS, seed: SEED },
      );
    });

    it("serve many gateways in one call as they would be served one call each", async () => {
      await fc.assert(
        fc.asyncProperty(situation, async (given) => {
          const [together, apart] = await prepare(given);
          const statements = ["g2", "g3", "g4"].map((gateway) =>
            statement(gateway, 1, { full: true, wants: given.wants }),
          );
          const one = await picksOf(together, statements);
          const each: Picks = [];
          for (const said of statements) each.push(...(await picksOf(apart, [said])));
          expect(one).toEqual(each);
          expect(await scene.ledger.rows(together)).toEqual(await scene.ledger.rows(apart));
        }),
        { numRuns: RUNS, seed: SEED },
      );
    });
  });
}
