// What becomes of the load when a whole zone fails, and when it comes back: decided on the shared count by the reference
// model, which the ledger in Redis equals.
import { facts, POOL, statement } from "@evenkeel/core/ledger/fixtures.ts";
import type { PoolFacts } from "@evenkeel/core/ledger/ledger.ts";
import { createModelLedger } from "@evenkeel/core/ledger/model.ts";
import { describe, expect, it } from "vitest";

const ZONES = ["eu", "us", "ap"];
const PER_ZONE = 3;
const RAMP_MS = 30_000;
const FROM_PERCENT = 10;
/** Between two requests. */
const STEP_MS = 10;
const STEPS_PER_PROBE = 5;
const HOLD_MS = 100;

const weights: Record<string, number> = {};
const each: Record<string, { zone: string }> = {};
for (const zone of ZONES) {
  for (let i = 1; i <= PER_ZONE; i += 1) {
    weights[`${zone}${i}`] = 1;
    each[`${zone}${i}`] = { zone };
  }
}

const zoneOf = (backend: string) => backend.slice(0, 2);

/** Clients of each zone keep so many requests open: the oldest one ends, the next one begins. */
async function scene(demand: Record<string, number>, more: Partial<PoolFacts>) {
  const clock = { nowMs: 0 };
  const ledger = createModelLedger(() => clock.nowMs);
  const slow = { slowStartMs: RAMP_MS, slowStartPercent: FROM_PERCENT };
  const pool = facts(
    weights,
    { fall: 1, rise: 1, holdMs: HOLD_MS, maxHoldMs: HOLD_MS, ...slow, ...more },
    each,
  );
  await ledger.configure(pool);
  const open = new Map(Object.keys(demand).map((zone) => [zone, [] as string[]]));
  let seq = 0;
  let next = 0;
  const failing = new Set<string>();

  const request = async (zone: string): Promise<string> => {
    const queue = open.get(zone) as string[];
    if (queue.length >= (demand[zone] as number)) queue.shift();
    const held: Record<string, number> = {};
    for (const backend of [...open.values()].flat()) held[backend] = (held[backend] ?? 0) + 1;
    seq += 1;
    clock.nowMs += STEP_MS;
    const result = await ledger.settle(POOL, [statement("g", seq, { full: true, held, wants: [{ zone }] })]);
    const backend = result?.replies[0]?.picks[0];
    if (!backend) throw new Error("nobody was picked");
    queue.push(backend);
    return backend;
  };
  /** Requests of all zones in turn, by who has sent them. */
  const run = async (count: number) => {
    const picks: { from: string; backend: string }[] = [];
    const clients = Object.entries(demand).flatMap(([zone, n]) => new Array<string>(n).fill(zone));
    for (let i = 0; i < count; i += 1) {
      if (i % STEPS_PER_PROBE === 0) for (const zone of failing) await probe(zone, false);
      const from = clients[next++ % clients.length] as string;
      picks.push({ from, backend: await request(from) });
    }
    return picks;
  };
  const probe = async (zone: string, ok: boolean) => {
    const members = pool.backends.filter((b) => b.zone === zone);
    await ledger.observe(
      POOL,
      members.map(({ id, url }) => ({ backend: id, url, ok })),
    );
  };
  const openIn = (from: string) => count((open.get(from) ?? []).map(zoneOf));
  const fail = (zone: string) => {
    failing.add(zone);
    return probe(zone, false);
  };
  const recover = (zone: string) => {
    failing.delete(zone);
    clock.nowMs += HOLD_MS;
    return probe(zone, true);
  };
  return { run, fail, recover, openIn, clock };
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const distances = {
  eu: { eu: 0, us: 6, ap: 9 },
  us: { us: 0, eu: 6, ap: 10 },
  ap: { ap: 0, eu: 9, us: 10 },
};
const geo = { policy: "geo", distances, spillAt: 4 } as const;

/** Never more than twice its share of the weights, and one. */
function expectPace(picks: readonly { backend: string }[], zone: string, risen: number): void {
  const whole = (ZONES.length - 1) * PER_ZONE + PER_ZONE * risen;
  const most = 2 * (risen / whole) * picks.length + 1;
  for (const [backend, n] of Object.entries(count(picks.map((pick) => pick.backend)))) {
    if (zoneOf(backend) === zone)
      expect(n, `${backend} while ${risen} of it is back`).toBeLessThanOrEqual(most);
  }
}

describe("a zone that fails, with clients who go to the nearest one", () => {
  it("has its share taken over by the zones next to it, as far as these have room", async () => {
    const { run, fail, openIn } = await scene({ eu: 10, us: 4, ap: 2 }, geo);
    await run(200);
    expect([openIn("eu"), openIn("us"), openIn("ap")]).toEqual([{ eu: 10 }, { us: 4 }, { ap: 2 }]);
    await fail("eu");
    await run(200);
    // "us" has room for 3 × 4, of which its own clients need 4; the rest goes further
    expect(openIn("us")).toEqual({ us: 4 });
    expect(openIn("ap")).toEqual({ ap: 2 });
    expect(openIn("eu")).toEqual({ us: 8, ap: 2 });
  });

  it("comes back step by step: no backend has more than its ramp, and in the end the zone has its clients again", async () => {
    const { run, fail, recover, openIn } = await scene({ eu: 10, us: 4, ap: 2 }, geo);
    await run(200);
    await fail("eu");
    await run(200);
    await recover("eu");
    const parts: number[] = [];
    const perStep = 300;
    const steps = RAMP_MS / (perStep * STEP_MS);
    for (let step = 1; step <= steps; step += 1) {
      const picks = await run(perStep);
      expectPace(picks, "eu", Math.max(FROM_PERCENT / 100, step / steps));
      const own = picks.filter(({ from }) => from === "eu");
      parts.push(own.filter(({ backend }) => zoneOf(backend) === "eu").length / own.length);
    }
    expect(parts[0]).toBeLessThan(0.25);
    expect(parts.at(-1)).toBeGreaterThan(0.5); // the pace holds to the last moment
    for (const [i, part] of parts.entries()) expect(part).toBeGreaterThanOrEqual((parts[i - 1] ?? 0) - 0.02);
    await run(200);
    expect(openIn("eu")).toEqual({ eu: 10 });
  });
});

describe("a zone that fails, in a pool without geography", () => {
  it("is taken over by all others alike, by weight and the shared count, and comes back step by step", async () => {
    const { run, fail, recover, clock } = await scene({ eu: 12, us: 12, ap: 12 }, {});
    const shares = async (requests: number) => {
      const counts = count((await run(requests)).map(({ backend }) => backend));
      return Object.fromEntries(Object.keys(weights).map((id) => [id, (counts[id] ?? 0) / requests]));
    };
    for (const share of Object.values(await shares(900))) expect(share).toBeCloseTo(1 / 9, 1);
    await fail("eu");
    await run(36); // those that were open there have ended
    for (const [id, share] of Object.entries(await shares(600)))
      expect(share).toBeCloseTo(zoneOf(id) === "eu" ? 0 : 1 / 6, 2);
    await recover("eu");
    for (let i = 0; i < 10; i += 1) {
      const picks = await run(300);
      expectPace(picks, "eu", Math.max(FROM_PERCENT / 100, (i + 1) / 10));
    }
    clock.nowMs += 1_000;
    await run(100);
    for (const share of Object.values(await shares(900))) expect(share).toBeCloseTo(1 / 9, 2);
  });
});
