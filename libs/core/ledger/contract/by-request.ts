// Policies that look at the request: hash (its key), geo (where it comes from).
import { describe, expect, it } from "vitest";
import { facts } from "../fixtures.ts";
import { type Create, createScene, type Scene, tally } from "./scene.ts";

export function byRequest(create: Create): void {
  describe("hash", () => hash(createScene(create)));
  describe("geo", () => geo(createScene(create)));
}

function hash({ configure, picks, pick, holds, fails, passing, counts }: Scene): void {
  const hashed = { policy: "hash" } as const;
  const FOUR = { a: 1, b: 1, c: 1, d: 1 };

  it("takes the first of the request's own order, every time", async () => {
    await configure(facts(FOUR, hashed));
    expect(tally(await passing(10, { ranked: ["c", "a"] }))).toEqual({ c: 10 });
    expect(tally(await passing(10, { ranked: ["a", "c"] }))).toEqual({ a: 10 });
  });

  it("takes the next of that order while the first is excluded, out or gone, and the first again afterwards", async () => {
    const want = { ranked: ["c", "a", "b"] };
    await configure(facts(FOUR, hashed));
    expect(await pick({ ...want, exclude: ["c"] })).toBe("a");
    await fails("c");
    await holds({});
    expect(await pick(want)).toBe("a");
    await configure(facts({ a: 1, b: 1, d: 1 }, hashed));
    await holds({});
    expect(await pick(want)).toBe("a");
    await configure(facts(FOUR, hashed));
    await holds({});
    expect(await pick(want)).toBe("c");
  });

  it("stays where it is when another backend leaves", async () => {
    await configure(facts(FOUR, hashed));
    await configure(facts({ a: 1, c: 1, d: 1 }, hashed));
    expect(tally(await passing(5, { ranked: ["c", "b", "a"] }))).toEqual({ c: 5 });
  });

  it("moves on from a backend that has its bound of all in flight, counted over all gateways", async () => {
    await configure(facts(FOUR, hashed));
    await holds({ a: 40 }, "g2");
    const want = { ranked: ["a", "b", "c", "d"] };
    expect(await pick(want, "g1")).toBe("b");
    await holds({ a: 10, b: 10, c: 10, d: 10 }, "g2"); // with 41 in flight, a may have ⌈1.25 × 42 ÷ 4⌉ = 14
    expect(tally(await picks(6, want, "g3"))).toEqual({ a: 5, b: 1 });
  });

  it("never lets one key have more than the bound of all in flight", async () => {
    await configure(facts(FOUR, hashed));
    await picks(40, { ranked: ["a", "b", "c", "d"] });
    expect(Math.max(...Object.values(await counts()))).toBe(13);
    await configure(facts(FOUR, { ...hashed, hashBound: 2 }));
    await picks(40, { ranked: ["a", "b", "c", "d"] });
    expect((await counts()).a).toBe(40);
  });

  it("counts for the bound only what is in flight on those that may be picked", async () => {
    await configure(facts(FOUR, hashed));
    await holds({ d: 3_000 }, "g2");
    await fails("d");
    await picks(30, { ranked: ["a", "b", "c"] });
    expect((await counts()).a).toBe(13);
  });

  it("bounds by weight", async () => {
    await configure(facts({ a: 3, b: 1 }, hashed));
    expect(tally(await picks(80, { ranked: ["b", "a"] }))).toEqual({ a: 55, b: 25 });
  });

  it("takes the least loaded where nobody of the request's order can, or it has none", async () => {
    await configure(facts(FOUR, hashed));
    await holds({ a: 2, b: 1, c: 3, d: 4 });
    expect(await pick({ ranked: ["ghost"] })).toBe("b");
    expect(await pick({ ranked: ["d"], exclude: ["d", "b"] })).toBe("a");
    await holds({ a: 2, b: 1, c: 3, d: 4 });
    expect(await pick({})).toBe("b");
  });
}

function geo({ configure, picks, pick, holds, state, passing }: Scene): void {
  const near = {
    policy: "geo",
    spillAt: 2,
    distances: {
      eu: { eu: 0, us: 50, asia: 90 },
      us: { eu: 50, us: 0, asia: 70 },
      africa: { eu: 40, us: 95, asia: 85 },
    },
  } as const;
  const zones = { e: { zone: "eu" }, f: { zone: "eu" }, u: { zone: "us" }, x: { zone: "asia" } };
  const world = facts({ e: 1, f: 1, u: 1, x: 1 }, near, zones);

  it("takes the least loaded of the nearest zone, also where the request's own zone has no backend", async () => {
    await configure(world);
    await holds({ e: 1 });
    expect(await pick({ zone: "eu" })).toBe("f");
    expect(await pick({ zone: "us" })).toBe("u");
    await holds({});
    expect(tally(await picks(2, { zone: "africa" }))).toEqual({ e: 1, f: 1 });
  });

  it("spills to the next zone when the nearest has no room, then to the one after it", async () => {
    await configure(world);
    const order = await picks(8, { zone: "eu" });
    expect(tally(order.slice(0, 4))).toEqual({ e: 2, f: 2 });
    expect(order.slice(4)).toEqual(["u", "u", "x", "x"]);
  });

  it("takes whoever is least over when nobody has room, and the nearest again as soon as it has", async () => {
    await configure(world);
    await holds({ e: 4, f: 5, u: 3, x: 2 });
    expect(await picks(3, { zone: "eu" })).toEqual(["x", "u", "x"]);
    const reply = await state({ held: { f: 1, x: 0 }, wants: [{ zone: "eu" }, { zone: "eu" }] });
    expect(reply.picks).toEqual(["f", "x"]);
  });

  it("gives room by weight", async () => {
    await configure(facts({ e: 1, f: 3, u: 1, x: 1 }, near, zones));
    expect(tally(await picks(9, { zone: "eu" }))).toEqual({ e: 2, f: 6, u: 1 });
  });

  it("reckons room by what is in flight, whatever a backend tells of its slots", async () => {
    const slots = { e: { zone: "eu", slots: 10 }, u: { zone: "us" } };
    await configure(facts({ e: 1, u: 1 }, near, slots));
    expect(await picks(3, { zone: "eu" })).toEqual(["e", "e", "u"]);
  });

  it("takes the least loaded anywhere for a request from nowhere it knows", async () => {
    await configure(world);
    expect(tally(await passing(8))).toEqual({ e: 2, f: 2, u: 2, x: 2 });
    expect(tally(await passing(8, { zone: "atlantis" }))).toEqual({ e: 2, f: 2, u: 2, x: 2 });
    await holds({ e: 1, f: 1, u: 1 });
    expect(await pick({ zone: "atlantis" })).toBe("x");
  });

  it("gives ties within a zone to the least recently picked", async () => {
    await configure(world);
    expect(await passing(4, { zone: "eu" })).toEqual(["e", "f", "e", "f"]);
  });

  it("leaves the zone where all of it is excluded, out or full", async () => {
    await configure(world);
    expect(await pick({ zone: "eu", exclude: ["e", "f"] })).toBe("u");
    await configure(facts({ e: 1, f: 1, u: 1, x: 1 }, near, { ...zones, u: { zone: "us", maxInflight: 1 } }));
    expect(await pick({ zone: "us" })).toMatch(/[ef]/);
  });

  it("takes new distances at once", async () => {
    await configure(world);
    const distances = { eu: { eu: 0, us: 50, asia: 10 } };
    await configure(facts({ e: 1, f: 1, u: 1, x: 1 }, { ...near, distances }, zones));
    expect(await pick({ zone: "eu", exclude: ["e", "f"] })).toBe("x");
  });
}
