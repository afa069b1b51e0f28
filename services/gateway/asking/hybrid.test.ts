import { facts, POOL, statement } from "@evenkeel/core/ledger/fixtures.ts";
import { BELOW_MAX, type Want } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { type Criticality, compilePreferences, type HybridRoute } from "./hybrid.ts";

const STATIC = "s";

const route = (criticality: Criticality, more: Partial<HybridRoute> = {}): HybridRoute => ({
  proxy: "hybrid",
  pool: POOL,
  backend: STATIC,
  spillAbove: 20,
  criticality,
  ...more,
});

const boundsOf = (...routes: HybridRoute[]) => {
  const preferOf = compilePreferences(routes);
  return routes.map((one) => preferOf(one)?.prefer?.below ?? null);
};

describe("a hybrid route", () => {
  it("asks for its static backend below `spillAbove`, whatever its class, where no other class shares it", () => {
    for (const criticality of ["critical", "normal", "background"] as const) {
      const alone = route(criticality);
      expect(compilePreferences([alone])(alone)).toEqual({ prefer: { backend: STATIC, below: 20 } });
      expect(boundsOf(alone, route(criticality, { spillAbove: 7 }))).toEqual([20, 7]);
    }
  });

  it("leaves room on a static backend that it shares with a more critical one", () => {
    expect(boundsOf(route("critical"), route("normal"), route("background"))).toEqual([20, 16, 10]);
    expect(boundsOf(route("background"), route("normal"))).toEqual([10, 20]);
    expect(boundsOf(route("background"), route("critical"))).toEqual([10, 20]);
  });

  it("is left alone by routes of other static backends, other pools and other kinds", () => {
    const others = [
      route("critical", { backend: "t" }),
      route("critical", { pool: "other" }),
      route("critical", { proxy: "static" }),
      route("critical", { proxy: "dynamic", backend: null }),
    ];
    expect(boundsOf(route("background"), ...others)).toEqual([20, 20, 20, null, null]);
  });

  it("has a bound of at least one request and of whole ones", () => {
    const bounds = (spillAbove: number) =>
      boundsOf(...(["critical", "normal", "background"] as const).map((one) => route(one, { spillAbove })));
    expect(bounds(1)).toEqual([1, 1, 1]);
    expect(bounds(3)).toEqual([3, 2, 1]);
    expect(bounds(35)).toEqual([35, 28, 17]);
  });

  it("without a bound of its own goes by the maxInflight of its static backend, and without that by its health alone", () => {
    const critical = route("critical", { spillAbove: null });
    const background = route("background", { spillAbove: null });
    const unbounded = route("normal", { spillAbove: null, backend: "t" });
    const gone = route("normal", { spillAbove: null, pool: "gone" });
    const backends = [
      { id: STATIC, maxInflight: 30 },
      { id: "t", maxInflight: null },
    ];
    const routes = [critical, background, unbounded, gone];
    const preferOf = compilePreferences(routes, [{ name: POOL, backends }]);
    expect(routes.map((one) => preferOf(one)?.prefer?.below)).toEqual([30, 15, BELOW_MAX, BELOW_MAX]);
  });

  it("asks for the same object every time, which nobody can change", () => {
    const one = route("normal");
    const preferOf = compilePreferences([one]);
    expect(preferOf(one)).toBe(preferOf(one));
    expect(() => Object.assign(preferOf(one)?.prefer ?? {}, { below: 1 })).toThrow(TypeError);
  });
});

interface Traffic {
  criticality: Criticality;
  /** Requests that would be in flight on average, had the static backend room for all. */
  offered: number;
}

/** Part of each class's requests that its static backend served, and how it was used. */
interface Served {
  share: Partial<Record<Criticality, number>>;
  /** In flight on the static backend, mean over time, and at most. */
  mean: number;
  most: number;
  /** Requests in a row, of those that came, that went the same way: static or pool; mean. */
  run: number;
}

const POOLED = 4;

/** Random arrivals of each class, random lengths with a mean of 1, decided by the ledger's model one at a time. */
async function simulate(traffic: readonly Traffic[], spillAbove: number, requests = 12_000): Promise<Served> {
  const random = seeded(11);
  const exponential = (mean: number) => -Math.log(1 - random()) * mean;
  const routes = traffic.map(({ criticality }) => route(criticality, { spillAbove }));
  const preferOf = compilePreferences(routes);
  const ledger = createModelLedger(() => 1_700_000_000_000);
  const pooled = Object.fromEntries(Array.from({ length: POOLED }, (_, i) => [`p${i}`, 1]));
  await ledger.configure(facts({ [STATIC]: 1, ...pooled }));

  let [now, seq, busy, most, area, switches] = [0, 0, 0, 0, 0, 0];
  let last: boolean | null = null;
  const held: Record<string, number> = {};
  const ends: { at: number; backend: string }[] = [];
  const counts = traffic.map(() => ({ asked: 0, served: 0 }));
  const next = traffic.map(({ offered }) => exponential(1 / offered));

  const passTo = (at: number) => {
    area += busy * (at - now);
    now = at;
  };
  const release = (until: number) => {
    ends.sort((a, b) => a.at - b.at);
    while (ends.length > 0 && (ends[0]?.at as number) <= until) {
      const { at, backend } = ends.shift() as (typeof ends)[number];
      passTo(at);
      held[backend] = (held[backend] as number) - 1;
      if (backend === STATIC) busy -= 1;
    }
    passTo(until);
  };

  for (let i = 0; i < requests; i += 1) {
    const which = next.indexOf(Math.min(...next));
    release(next[which] as number);
    next[which] = now + exponential(1 / (traffic[which] as Traffic).offered);
    seq += 1;
    const want = preferOf(routes[which] as HybridRoute) as Want;
    const asked = statement("g1", seq, { full: true, held: { ...held }, wants: [want] });
    const backend = (await ledger.settle(POOL, [asked]))?.replies[0]?.picks[0] as string;
    held[backend] = (held[backend] ?? 0) + 1;
    ends.push({ at: now + exponential(1), backend });
    const count = counts[which] as { asked: number; served: number };
    count.asked += 1;
    if (backend === STATIC) {
      count.served += 1;
      busy += 1;
      most = Math.max(most, busy);
    }
    if (last !== null && last !== (backend === STATIC)) switches += 1;
    last = backend === STATIC;
  }
  const share = Object.fromEntries(
    traffic.map(({ criticality }, i) => [criticality, (counts[i]?.served ?? 0) / (counts[i]?.asked ?? 1)]),
  );
  return { share, mean: area / now, most, run: requests / (switches + 1) };
}

/**
 * What must come of it, exactly: with n in flight only classes whose bound is above n come in, so the number in flight is a
 * birth and death process, and a class is served as often as that is below its bound.
 */
function expected(offered: readonly number[], bounds: readonly number[]) {
  const chances = [1];
  for (let n = 1; n <= Math.max(...bounds); n += 1) {
    const arriving = offered.reduce((sum, one, i) => sum + (n <= (bounds[i] as number) ? one : 0), 0);
    chances.push(((chances[n - 1] as number) * arriving) / n);
  }
  const total = chances.reduce((sum, chance) => sum + chance, 0);
  const below = (bound: number) => chances.slice(0, bound).reduce((sum, chance) => sum + chance, 0) / total;
  return { shares: bounds.map(below), mean: chances.reduce((sum, chance, n) => sum + n * chance, 0) / total };
}

describe("a static backend of hybrid routes, simulated,", () => {
  it.each([10, 16, 20, 24, 30, 40])(
    "serves of %d offered what a group of `spillAbove` servers can: the split is smooth around the bound",
    async (offered) => {
      const { share, mean, most } = await simulate([{ criticality: "normal", offered }], 20);
      const exact = expected([offered], [20]);
      expect(Math.abs((share.normal as number) - (exact.shares[0] as number))).toBeLessThan(0.02);
      expect(Math.abs(mean - exact.mean)).toBeLessThan(0.6);
      if (offered >= 16) expect(most).toBe(20);
      else expect(most).toBeLessThanOrEqual(20);
    },
  );

  it("does not swing between all and nothing when it is full: requests go one by one where there is room", async () => {
    const { run, most, mean } = await simulate([{ criticality: "normal", offered: 40 }], 20);
    expect(most).toBe(20);
    expect(mean).toBeGreaterThan(19);
    expect(run).toBeLessThan(3);
  });

  /** Offered to critical, normal and background, and the part of each that its static backend has to serve, at least, at most. */
  const SCARCE: [number[], [number, number][]][] = [
    [
      [10, 10, 10],
      [
        [0.97, 1],
        [0.45, 0.6],
        [0, 0.03],
      ],
    ],
    [
      [14, 10, 10],
      [
        [0.91, 0.96],
        [0.27, 0.38],
        [0, 0.02],
      ],
    ],
    [
      [5, 5, 20],
      [
        [0.99, 1],
        [0.92, 0.97],
        [0.07, 0.13],
      ],
    ],
    [
      [1.2, 1.2, 1.2],
      [
        [0.99, 1],
        [0.99, 1],
        [0.98, 1],
      ],
    ],
  ];

  it.each(SCARCE)(
    "offered %j by class, is kept by the critical ones and left first by the background ones",
    async (offered, ranges) => {
      const classes = ["critical", "normal", "background"] as const;
      const traffic = classes.map((criticality, i) => ({ criticality, offered: offered[i] as number }));
      const { share, most } = await simulate(traffic, 20);
      const exact = expected(offered, [20, 16, 10]);
      for (const [i, criticality] of classes.entries()) {
        const part = share[criticality] as number;
        const [least, greatest] = ranges[i] as [number, number];
        expect(part, criticality).toBeGreaterThanOrEqual(least);
        expect(part, criticality).toBeLessThanOrEqual(greatest);
        expect(Math.abs(part - (exact.shares[i] as number)), criticality).toBeLessThan(0.03);
      }
      expect(most).toBeLessThanOrEqual(20);
    },
  );
});
