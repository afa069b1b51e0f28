// What tests of ledgers, and of those who talk to them, are made of: a pool, statements, outcomes, findings.
import type { BackendFacts, Finding, Outcomes, PoolFacts, Statement } from "./ledger.ts";

export const POOL = "shop";

export const facts = (
  weights: Record<string, number>,
  more: Partial<PoolFacts> = {},
  each: Record<string, Partial<BackendFacts>> = {},
): PoolFacts => ({
  pool: POOL,
  configVersion: 1,
  policy: "least-connections",
  rise: 2,
  fall: 3,
  holdMs: 10_000,
  maxHoldMs: 300_000,
  failures: 3,
  failurePercent: 0,
  windowMs: 10_000,
  minRequests: 20,
  maxEjectPercent: 100,
  initial: "healthy",
  panicPercent: 50,
  slowStartMs: 0,
  slowStartPercent: 10,
  hashBound: 1.25,
  spillAt: 100,
  criteria: [],
  distances: {},
  backends: Object.entries(weights).map(([id, weight], i) => ({
    id,
    url: `http://127.0.0.1:${9001 + i}`,
    weight,
    zone: null,
    maxInflight: null,
    slots: null,
    priority: 0,
    cost: 0,
    ...each[id],
  })),
  ...more,
});

export const statement = (gateway: string, seq: number, more: Partial<Statement> = {}): Statement => ({
  gateway,
  seq,
  full: false,
  held: {},
  outcomes: {},
  wants: [],
  ...more,
});

/** A probe's finding about a backend of `facts`. */
export const found = (backend: string, ok: boolean): Finding => ({
  backend,
  url: `http://127.0.0.1:${9001 + ["a", "b", "c", "d", "e"].indexOf(backend)}`,
  ok,
});

export const wants = (n: number, exclude?: string[]) =>
  Array.from({ length: n }, () => (exclude ? { exclude } : {}));

export const outcome = (more: Partial<Outcomes>): Outcomes => ({
  success: 0,
  failure: 0,
  canceled: 0,
  failuresInRow: 0,
  latencyUs: 0,
  ...more,
});
