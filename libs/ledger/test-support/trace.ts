// Random histories of a pool: what gateways, monitors, operators and time do to a ledger, for any ledger to go through.
import type { Policy } from "@evenkeel/core/config/schema-scheduling.ts";
import { POLICIES } from "@evenkeel/core/config/schema-scheduling.ts";
import { facts, outcome, POOL } from "@evenkeel/core/ledger/fixtures.ts";
import type {
  BackendFacts,
  Finding,
  Ledger,
  Outcomes,
  PoolFacts,
  Statement,
  Want,
} from "@evenkeel/core/ledger/ledger.ts";
import fc from "fast-check";

/** Names that a locale, or an object that takes them for numbers, would order otherwise than by their characters. */
const ODD = ["a", "B", "b-1", "b.2", "Z", "10", "9", "c"];
/** Enough that a pick does not see all of them at once. */
const IDS = [...ODD, ...Array.from({ length: 24 }, (_, i) => `more-${i}`)];
export const ZONES = ["eu", "us", "ap"];
const GATEWAYS = ["g1", "g2", "g3", "g4"];
const METRICS = ["cpu", "queue"];
/** When a trace begins. */
export const START_MS = 1_700_000_000_000;

const id = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...ODD) },
  { weight: 1, arbitrary: fc.constantFrom(...IDS) },
);
const anyId = fc.oneof({ weight: 9, arbitrary: id }, { weight: 1, arbitrary: fc.constant("ghost") });
const zone = fc.constantFrom(...ZONES);
const metrics = fc.dictionary(fc.constantFrom(...METRICS), fc.constantFrom(0, 0.1, 0.7, 3, 250.5), {
  minKeys: 1,
  maxKeys: 2,
});
const rarely = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T, inHow = 4) =>
  fc.oneof({ weight: inHow - 1, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });

const backend = fc.record({
  weight: fc.integer({ min: 1, max: 7 }),
  zone: fc.option(zone, { freq: 3 }),
  maxInflight: rarely(fc.option(fc.integer({ min: 1, max: 5 })), null),
  priority: rarely(fc.integer({ min: 0, max: 2 }), 0, 3),
  slots: rarely(fc.option(fc.integer({ min: 1, max: 6 })), null, 3),
  cost: fc.constantFrom(0, 0.1, 2.5),
  moved: rarely(fc.constant(true), false, 12),
});

const criterion = fc.record({
  name: fc.constantFrom("connections", "latency", "errors", "distance", "cost", ...METRICS),
  weight: fc.constantFrom(0.3, 1, 2),
  scale: fc.constantFrom(0.1, 1, 10),
});

const scheduling = fc.record({
  rise: fc.integer({ min: 1, max: 3 }),
  fall: fc.integer({ min: 1, max: 3 }),
  holdMs: fc.constantFrom(500, 10_000),
  maxHoldMs: fc.constantFrom(10_000, 25_000, 300_000),
  failures: fc.integer({ min: 1, max: 4 }),
  failurePercent: fc.constantFrom(0, 30, 60, 100),
  windowMs: fc.constantFrom(300, 5_000, 60_000),
  minRequests: fc.constantFrom(1, 4, 9),
  maxEjectPercent: fc.constantFrom(0, 40, 100, 100),
  initial: rarely(fc.constant("unhealthy" as const), "healthy" as const, 5),
  panicPercent: fc.constantFrom(0, 50, 100),
  slowStartMs: fc.constantFrom(0, 900, 30_000),
  slowStartPercent: fc.constantFrom(1, 10, 60, 100),
  hashBound: fc.constantFrom(1.01, 1.25, 3),
  spillAt: fc.constantFrom(1, 2, 100),
  criteria: fc.uniqueArray(criterion, { minLength: 1, maxLength: 5, selector: ({ name }) => name }),
  distances: fc.dictionary(zone, fc.dictionary(zone, fc.constantFrom(0, 1, 7.5, 4_000), { maxKeys: 3 }), {
    maxKeys: 3,
  }),
});

const configuration = fc
  .record({
    policy: fc.constantFrom<Policy>(...POLICIES),
    scheduling,
    backends: fc.array(backend, { minLength: ODD.length, maxLength: ODD.length }),
    used: fc.oneof(
      {
        weight: 3,
        arbitrary: fc.uniqueArray(fc.nat(ODD.length - 1), { minLength: 1, maxLength: ODD.length }),
      },
      {
        weight: 1,
        arbitrary: fc.uniqueArray(fc.nat(IDS.length - 1), { minLength: 20, maxLength: IDS.length }),
      },
    ),
  })
  .map(
    ({ policy, scheduling, backends, used }): PoolFacts => ({
      ...facts({}, { policy, ...scheduling }),
      backends: used.map((i): BackendFacts => {
        const { moved, ...b } = backends[i % ODD.length] as (typeof backends)[number];
        const id = IDS[i] as string;
        return { id, url: urlOf(id, moved), ...b };
      }),
    }),
  );

const urlOf = (id: string, moved: boolean) => `http://127.0.0.1:${(moved ? 9_100 : 9_000) + IDS.indexOf(id)}`;

const outcomes: fc.Arbitrary<Record<string, Outcomes>> = fc.dictionary(
  anyId,
  fc
    .record({
      success: fc.nat(3),
      failure: rarely(fc.nat(3), 0, 3),
      canceled: rarely(fc.nat(2), 0),
      latencyUs: fc.integer({ min: 1, max: 900_000 }),
      recovered: fc.boolean(),
      metrics: fc.option(metrics, { freq: 2, nil: undefined }),
    })
    .map(({ success, failure, canceled, latencyUs, recovered, metrics }) => ({
      ...outcome({
        success,
        failure,
        canceled,
        failuresInRow: recovered && success > 0 ? 0 : failure,
        latencyUs: success > 0 ? latencyUs : 0,
      }),
      ...(metrics && { metrics }),
    })),
  { maxKeys: 4 },
);

const want: fc.Arbitrary<Want> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        exclude: fc.uniqueArray(anyId, { maxLength: 4 }),
        zone: fc.constantFrom(...ZONES, "nowhere"),
        ranked: fc.uniqueArray(anyId, { maxLength: 8 }),
        stick: anyId,
        prefer: fc.record({ backend: anyId, below: fc.integer({ min: 1, max: 8 }) }),
      },
      { requiredKeys: [] },
    ),
  },
);

const statement = fc.record({
  gateway: fc.constantFrom(...GATEWAYS),
  // Behind, equal to, or ahead of what the gateway said last: late, duplicate and lost messages.
  jump: fc.constantFrom(-1, 0, 1, 1, 1, 1, 1, 1, 3),
  full: rarely(fc.constant(true), false),
  held: fc.dictionary(anyId, fc.integer({ min: 0, max: 6 }), { maxKeys: 4 }),
  outcomes,
  wants: fc.oneof(
    { weight: 4, arbitrary: fc.array(want, { maxLength: 12 }) },
    { weight: 1, arbitrary: fc.nat(40).map((n) => Array.from({ length: n }, (): Want => ({}))) },
  ),
});

type Stated = typeof statement extends fc.Arbitrary<infer T> ? T : never;

const finding = fc
  .record({
    id,
    ok: fc.boolean(),
    moved: rarely(fc.constant(true), false, 12),
    more: fc.record(
      {
        metrics,
        detail: fc.constantFrom("status 503", 'ré\ufffdé 🙂 "/\\" %d', `${"x".repeat(119)}🙂`, "\ud800"),
        // Earlier and later than the last one, and than now.
        dueMs: fc.nat(40).map((n) => START_MS + n * 500),
        agent: fc.record({
          weightPercent: fc.constantFrom(0, 1, 33, 50, 100, 100, 250),
          drain: rarely(fc.constant(true), false, 6),
        }),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ id, ok, moved, more }): Finding => ({ backend: id, url: urlOf(id, moved), ok, ...more }));

/** One backend, out and in and out. */
const flapping = id.map((id) =>
  Array.from({ length: 9 }, (_, i): Finding => ({ backend: id, url: urlOf(id, false), ok: i >= 3 && i < 6 })),
);

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      statements: fc.array(statement, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ms: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 1, max: 700 }) },
        { weight: 2, arbitrary: fc.integer({ min: 1_000, max: 12_000 }) },
        { weight: 1, arbitrary: fc.constant(31_000) },
        { weight: 1, arbitrary: fc.constant(-60_000) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("observe" as const),
      findings: fc.oneof(
        { weight: 2, arbitrary: fc.array(finding, { minLength: 1, maxLength: 6 }) },
        { weight: 1, arbitrary: flapping },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("mode" as const),
      backend: anyId,
      mode: fc.constantFrom("active" as const, "active" as const, "draining" as const, "disabled" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("configure" as const), facts: configuration }),
  },
  // The same pool, with another policy or other weights only: what is learned and counted meets new rules.
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("change" as const),
      policy: fc.constantFrom<Policy>(...POLICIES),
      weights: fc.option(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 8, maxLength: 8 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("read" as const) }) },
  // Not for the model: somebody else has written to the pool, nothing that is remembered of it counts.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("forget" as const) }) },
);

export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

export interface Trace {
  start: PoolFacts;
  steps: Step[];
}

export const traces = (stepsMax: number): fc.Arbitrary<Trace> =>
  fc.record({
    start: configuration,
    steps: fc.array(step, { minLength: 4, maxLength: stepsMax, size: "max" }),
  });

/** Does the steps to one ledger; answers what each answered. `advance` and `forget` are the caller's. */
export function player(ledger: Ledger, start: PoolFacts) {
  const seqs = new Map<string, number>();
  let current = start;
  const configure = (next: PoolFacts) => {
    current = { ...next, configVersion: current.configVersion + 1 };
    return ledger.configure(current);
  };
  const numbered = ({ jump, gateway, ...rest }: Stated): Statement => {
    const last = seqs.get(gateway) ?? 0;
    const seq = Math.max(1, last + jump);
    seqs.set(gateway, Math.max(seq, last));
    return { gateway, seq, ...rest };
  };
  return async (s: Step): Promise<unknown> => {
    switch (s.kind) {
      case "settle":
        return ledger.settle(POOL, s.statements.map(numbered));
      case "observe":
        return ledger.observe(POOL, s.findings);
      case "mode":
        return ledger.setMode(POOL, s.backend, s.mode);
      case "configure":
        return configure(s.facts);
      case "change":
        return configure({ ...current, policy: s.policy, backends: reweighed(current.backends, s.weights) });
      case "read":
        return ledger.read(POOL);
      default:
        return undefined;
    }
  };
}

const reweighed = (backends: BackendFacts[], weights: number[] | null): BackendFacts[] =>
  weights ? backends.map((b, i) => ({ ...b, weight: weights[i % weights.length] ?? b.weight })) : backends;
