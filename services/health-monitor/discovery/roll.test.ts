import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entryKey, nextRoll, type Roll } from "./roll.ts";

const TTL_MS = 9_000;
const NONE = new Set<string>();
const registered = (id: string, renewedMs: number, pool = "shop", ttlMs = TTL_MS) => ({
  pool,
  backend: { id, url: `http://${id}:80` },
  ttlMs,
  renewedMs,
});
const empty: Roll = { entries: new Map(), lookedMs: 0 };
const idsOf = (roll: Roll) =>
  [...roll.entries.values()]
    .map(({ backend }) => backend.id)
    .toSorted()
    .join();

/** As Redis would list them. */
const listing = (nowMs: number, ...all: ReturnType<typeof registered>[]) => ({
  nowMs,
  reachable: null,
  registered: all.filter(({ renewedMs, ttlMs }) => renewedMs + ttlMs > nowMs),
});

describe("the roll of registrations", () => {
  it("strikes out who was not renewed while others were", () => {
    let roll = nextRoll(empty, listing(1_000, registered("a", 1_000), registered("b", 1_000)), NONE);
    roll = nextRoll(roll, listing(9_999, registered("a", 7_000), registered("b", 1_000)), NONE);
    expect(idsOf(roll)).toBe("a,b");
    roll = nextRoll(roll, listing(10_000, registered("a", 7_000), registered("b", 1_000)), NONE);
    expect(idsOf(roll)).toBe("a");
  });

  it("takes renewals in any pool for evidence", () => {
    let roll = nextRoll(empty, listing(1_000, registered("a", 1_000, "till"), registered("b", 1_000)), NONE);
    roll = nextRoll(roll, listing(10_000, registered("a", 6_000, "till"), registered("b", 1_000)), NONE);
    expect(idsOf(roll)).toBe("a");
  });

  it("strikes out nobody when no scheduler can be reached, however the last renewals lay", () => {
    const offset = fc.integer({ min: 0, max: TTL_MS / 3 });
    fc.assert(
      fc.property(fc.array(offset, { minLength: 1, maxLength: 8 }), (offsets) => {
        const stoppedMs = 100_000;
        const all = offsets.map((offsetMs, i) => registered(`b${i}`, stoppedMs - offsetMs));
        let roll = nextRoll(empty, listing(stoppedMs, ...all), NONE);
        for (let nowMs = stoppedMs; nowMs < stoppedMs + 5 * TTL_MS; nowMs += 1_000)
          roll = nextRoll(roll, listing(nowMs, ...all), NONE);
        expect(roll.entries.size).toBe(all.length);
        // They are back, all but the first, which has as long as the others to be heard of again.
        const backMs = stoppedMs + 6 * TTL_MS;
        const back = all.slice(1).map((one) => ({ ...one, renewedMs: backMs }));
        roll = nextRoll(roll, listing(backMs, ...back), NONE);
        expect(roll.entries.size).toBe(all.length);
        const laterMs = backMs + TTL_MS;
        const later = back.map((one) => ({ ...one, renewedMs: laterMs }));
        roll = nextRoll(roll, listing(laterMs, ...later), NONE);
        expect(roll.entries.size).toBe(Math.max(1, back.length));
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it("keeps all for one more TTL when the first comes back after nobody could register", () => {
    let roll = nextRoll(empty, listing(1_000, registered("a", 1_000, "till"), registered("b", 1_000)), NONE);
    roll = nextRoll(roll, listing(40_000), NONE);
    const back = (renewedMs: number) => registered("a", renewedMs, "till");
    roll = nextRoll(roll, listing(41_000, back(40_900)), NONE);
    expect(idsOf(roll)).toBe("a,b");
    for (let nowMs = 42_000; nowMs < 41_000 + TTL_MS; nowMs += 1_000)
      roll = nextRoll(roll, listing(nowMs, back(nowMs - 100)), NONE);
    expect(idsOf(roll)).toBe("a,b");
    roll = nextRoll(roll, listing(41_000 + TTL_MS, back(40_900 + TTL_MS)), NONE);
    expect(idsOf(roll)).toBe("a");
  });

  it("gives more time once, where the others are renewed more seldom than it", () => {
    const slow = (renewedMs: number) => registered("a", renewedMs, "till", 60_000);
    let roll = nextRoll(empty, listing(1_000, slow(1_000), registered("b", 1_000, "shop", 3_000)), NONE);
    roll = nextRoll(roll, listing(22_000, slow(21_500)), NONE);
    expect(idsOf(roll)).toBe("a,b");
    roll = nextRoll(roll, listing(42_000, slow(41_500)), NONE);
    expect(idsOf(roll)).toBe("a");
  });

  it("strikes out at once who takes his registration back, told of it or not", () => {
    const before = nextRoll(empty, listing(1_000, registered("a", 500), registered("b", 500)), NONE);
    expect(idsOf(nextRoll(before, listing(2_000, registered("a", 500)), NONE))).toBe("a");
    const alone = nextRoll(empty, listing(1_000, registered("a", 500)), NONE);
    expect(idsOf(nextRoll(alone, listing(2_000), new Set(["shop"])))).toBe("");
    expect(idsOf(nextRoll(alone, listing(2_000), new Set(["till"])))).toBe("a");
  });

  it("keeps all for one more TTL when Redis lost everything", () => {
    const before = nextRoll(
      empty,
      listing(1_000, registered("a", 500), registered("b", 500), registered("c", 500)),
      NONE,
    );
    // The first is back already, and that is told: the others have not left for that.
    let roll = nextRoll(before, listing(2_000, registered("a", 1_900)), new Set(["shop"]));
    expect(idsOf(roll)).toBe("a,b,c");
    roll = nextRoll(roll, listing(5_000, registered("a", 4_900), registered("b", 4_800)), new Set(["shop"]));
    expect(idsOf(roll)).toBe("a,b,c");
    roll = nextRoll(roll, listing(10_999, registered("a", 10_900), registered("b", 10_800)), NONE);
    expect(idsOf(roll)).toBe("a,b,c");
    roll = nextRoll(roll, listing(11_000, registered("a", 10_900), registered("b", 10_800)), NONE);
    expect(idsOf(roll)).toBe("a,b");
  });

  it("keeps all as long as nobody at all is heard of again", () => {
    let roll = nextRoll(empty, listing(1_000, registered("a", 500), registered("b", 500)), NONE);
    for (let nowMs = 2_000; nowMs < 200_000; nowMs += 1_000) roll = nextRoll(roll, listing(nowMs), NONE);
    expect(idsOf(roll)).toBe("a,b");
  });

  it("always has whoever Redis has, and nobody it has never heard of", () => {
    const one = fc.record({
      id: fc.constantFrom("a", "b", "c"),
      pool: fc.constantFrom("shop", "till"),
      renewedMs: fc.nat(50_000),
      ttlMs: fc.integer({ min: 1_000, max: 20_000 }),
    });
    const look = fc.record({
      nowMs: fc.nat(60_000),
      all: fc.array(one, { maxLength: 6 }),
      told: fc.subarray(["shop", "till"]),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 12 }), (looks) => {
        let roll = empty;
        const heard = new Set<string>();
        for (const { nowMs, all, told } of looks) {
          const list = listing(
            nowMs,
            ...all.map(({ id, pool, renewedMs, ttlMs }) => registered(id, renewedMs, pool, ttlMs)),
          );
          roll = nextRoll(roll, list, new Set(told));
          for (const each of list.registered) heard.add(entryKey(each));
          for (const each of list.registered) expect(roll.entries.get(entryKey(each))?.lost).toBe(false);
          for (const key of roll.entries.keys()) expect(heard).toContain(key);
        }
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
