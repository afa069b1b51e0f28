// Policies that look at nothing but counts and the configuration: least-connections, round-robin, first.
import { describe, expect, it } from "vitest";
import { facts } from "../fixtures.ts";
import { type Create, createScene, many, type Picks, type Scene, tally } from "./scene.ts";

export function byLoad(create: Create): void {
  describe("least-connections", () => leastConnections(createScene(create)));
  describe("round-robin", () => roundRobin(createScene(create)));
  describe("first", () => first(createScene(create)));
}

function leastConnections({ configure, picks, holds, state, passing }: Scene): void {
  it("spreads picks in proportion to the weights", async () => {
    await configure(facts({ a: 1, b: 2, c: 3 }));
    expect(tally(await picks(60))).toEqual({ a: 10, b: 20, c: 30 });
  });

  it("fills up where something was released", async () => {
    await configure(facts({ a: 1, b: 2, c: 3 }));
    await picks(60);
    const reply = await state({ held: { a: 7 }, wants: [{}, {}, {}] });
    expect(reply.picks).toEqual(["a", "a", "a"]);
  });

  it("reckons with what all gateways hold", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }));
    await holds({ a: 4, b: 2 }, "g1");
    await holds({ b: 2 }, "g2");
    expect(tally(await picks(4, {}, "g3"))).toEqual({ c: 4 });
  });

  it("gives ties to the least recently picked, not to the first by name", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }));
    expect(await passing(6)).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  it("fills every backend to its share, whatever the weights", async () => {
    await configure(facts({ a: 1, b: 10, c: 100, d: 1_000 }));
    expect(tally(await picks(1_111))).toEqual({ a: 1, b: 10, c: 100, d: 1_000 });
  });

  it("fills the fast ones first, where backends tell how many they serve at once", async () => {
    const slots = { a: { slots: 4 }, b: { slots: 4 } };
    await configure(facts({ a: 2, b: 1 }, {}, slots));
    // up to 3/4 of its slots b counts as 3, and a as at most that with 5 in flight
    expect(tally(await picks(6))).toEqual({ a: 6 });
    expect(tally(await picks(12))).toEqual({ a: 6, b: 6 });
    await holds({});
    expect(tally(await passing(6))).toEqual({ a: 6 });
    await configure(facts({ a: 1, b: 1 }, {}, slots));
    expect(await passing(4)).toEqual(["b", "a", "b", "a"]);
  });

  it("takes a new weight at once, and catches up with what is in flight", async () => {
    await configure(facts({ a: 1, b: 1 }));
    await picks(40);
    await configure(facts({ a: 3, b: 1 }));
    expect(tally(await picks(40))).toEqual({ a: 40 });
    expect(tally(await picks(40))).toEqual({ a: 30, b: 10 });
  });
}

function roundRobin(scene: Scene): void {
  const { configure, picks, pick, holds, passing } = scene;
  const inTurn = { policy: "round-robin" } as const;

  it("takes turns in proportion to the weights, whatever is in flight", async () => {
    await configure(facts({ a: 1, b: 2, c: 3 }, inTurn));
    await holds({ a: 0, c: 1_000 });
    expect(tally(await picks(60))).toEqual({ a: 10, b: 20, c: 30 });
  });

  it("spreads the turns of a heavy backend evenly between those of the others", async () => {
    await configure(facts({ a: 1, b: 4 }, inTurn));
    const order = (await passing(20)).join("");
    expect(order).not.toContain("aa");
    expect(order).not.toContain("bbbbbb");
  });

  it("lets a newcomer take its turn from now on, not the turns it missed", async () => {
    await configure(facts({ a: 1, b: 1 }, inTurn));
    await picks(1_000);
    await configure(facts({ a: 1, b: 1, c: 1 }, inTurn));
    expect(tally(await picks(30))).toEqual({ a: 10, b: 10, c: 10 });
  });

  it("lets a backend that was out go on from where the others are", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }, inTurn));
    await scene.fails("a");
    await picks(1_000);
    await scene.recovers("a");
    expect(tally(await picks(30))).toEqual({ a: 10, b: 10, c: 10 });
  });

  it("lets a backend that was full go on from where the others are", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }, inTurn, { a: { maxInflight: 50 } }));
    await passing(1_000, {}, { a: 50 });
    const order = await passing(30);
    expect(tally(order)).toEqual({ a: 10, b: 10, c: 10 });
  });

  it("lets a newcomer start with the others, not with one that is full and behind", async () => {
    const full = { a: { maxInflight: 1 } };
    await configure(facts({ a: 1, b: 1 }, inTurn, full));
    await passing(1_000, {}, { a: 1 });
    await configure(facts({ a: 1, b: 1, c: 1 }, inTurn, full));
    expect(tally(await passing(30, {}, { a: 1 }))).toEqual({ b: 15, c: 15 });
  });

  it("does not make up for wants that excluded a backend", async () => {
    await configure(facts({ a: 1, b: 1, c: 1 }, inTurn));
    await picks(1_000, { exclude: ["a"] });
    expect(tally(await picks(30))).toEqual({ a: 10, b: 10, c: 10 });
  });

  it("counts no turn for a pick by session: it is nobody's turn", async () => {
    await configure(facts({ a: 1, b: 3 }, inTurn));
    await picks(1_000, { stick: "a" });
    const free: Picks = [];
    for (let i = 0; i < 40; i += 1) {
      free.push(await pick());
      await picks(3, { stick: "a" });
    }
    expect(tally(free)).toEqual({ a: 10, b: 30 });
  });

  it("begins anew when a pool is switched to it", async () => {
    await configure(facts({ a: 1, b: 9 }, inTurn));
    await picks(500, { exclude: ["b"] });
    await configure(facts({ a: 1, b: 9 }));
    await configure(facts({ a: 1, b: 9 }, inTurn));
    expect(tally(await picks(10))).toEqual({ a: 1, b: 9 });
  });

  it("changes the rate when a weight changes, without catching up", async () => {
    await configure(facts({ a: 1, b: 1 }, inTurn));
    await picks(1_000);
    await configure(facts({ a: 3, b: 1 }, inTurn));
    expect(tally(await picks(40))).toEqual({ a: 30, b: 10 });
    await configure(facts({ a: 1, b: 3 }, inTurn));
    expect(tally(await picks(40))).toEqual({ a: 10, b: 30 });
  });

  it("keeps the shares when turns are counted from 0 again", async () => {
    await configure(facts({ a: 1, b: 2 }, inTurn));
    // 65,536 turns of weight 1, and their double
    for (let i = 0; i < 197; i += 1) await scene.state({ full: true, wants: Array(1_000).fill({}) });
    expect(tally(await picks(30))).toEqual({ a: 10, b: 20 });
  });
}

function first({ configure, picks, holds, pick, fails, recovers }: Scene): void {
  const inOrder = { policy: "first" } as const;

  it("fills one before the next, in the order of the configuration", async () => {
    await configure(facts({ z: 1, m: 1, a: 1 }, inOrder, { z: { maxInflight: 3 }, m: { maxInflight: 2 } }));
    expect(await picks(7)).toEqual(["z", "z", "z", "m", "m", "a", "a"]);
  });

  it("returns to an earlier one as soon as it has room", async () => {
    await configure(facts({ z: 1, a: 1 }, inOrder, { z: { maxInflight: 3 } }));
    await picks(5);
    await holds({ z: 2, a: 2 });
    expect(await picks(2)).toEqual(["z", "a"]);
  });

  it("passes over what is not ready, whatever its weight", async () => {
    await configure(facts({ z: 1_000, m: 1, a: 1 }, inOrder));
    await fails("z");
    expect(await pick()).toBe("m");
    await recovers("z");
    expect(await pick()).toBe("z");
  });

  it("takes a new order at once", async () => {
    await configure(facts(many("x", 12), inOrder));
    expect(await pick()).toBe("x1");
    await configure(facts({ x11: 1, ...many("x", 12) }, inOrder));
    expect(await pick()).toBe("x11");
  });
}
