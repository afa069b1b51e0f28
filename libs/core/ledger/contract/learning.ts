// What is learned about backends, as an operator sees it. How it enters the load: by-what-is-learned.ts.
import { describe, expect, it } from "vitest";
import { facts, found, outcome, POOL } from "../fixtures.ts";
import { type Create, createScene } from "./scene.ts";

export function learning(create: Create): void {
  describe("learning", () => {
    const scene = createScene(create);
    const { configure, reports, backend, advance } = scene;
    const took = (success: number, latencyUs: number) => outcome({ success, latencyUs });

    it("tells the mean time to first byte of the last seconds", async () => {
      await configure(facts({ a: 1 }));
      expect((await backend("a")).ewmaMs).toBeNull();
      await reports({ a: took(1, 8_000) });
      expect((await backend("a")).ewmaMs).toBe(8);
      await reports({ a: took(8, 16_000) });
      expect((await backend("a")).ewmaMs).toBeCloseTo(15.111, 3);
    });

    it("lets what was learned fade evenly over 5 s", async () => {
      await configure(facts({ a: 1 }));
      await reports({ a: took(4, 10_000) });
      advance(2_500); // two of the four are forgotten
      await reports({ a: took(2, 20_000) });
      expect((await backend("a")).ewmaMs).toBe(15);
      advance(5_000);
      await reports({ a: took(1, 7_000) });
      expect((await backend("a")).ewmaMs).toBe(7);
    });

    it("charges a failure as 8 times the pool's mean", async () => {
      await configure(facts({ a: 1, b: 1 }));
      await reports({ b: took(10, 5_000) });
      await reports({ a: outcome({ failure: 1, failuresInRow: 1 }) });
      expect((await backend("a")).ewmaMs).toBe(40);
    });

    it("learns nothing from canceled requests, nor about a backend it does not know", async () => {
      await configure(facts({ a: 1 }));
      await reports({ a: outcome({ canceled: 9 }), ghost: took(3, 1_000) });
      expect((await backend("a")).ewmaMs).toBeNull();
    });

    it("keeps what was learned through a new policy, but not through a new address", async () => {
      await configure(facts({ a: 1 }));
      await reports({ a: took(1, 8_000) });
      await configure(facts({ a: 1 }, { policy: "round-robin" }));
      expect((await backend("a")).ewmaMs).toBe(8);
      await configure(facts({ a: 1 }, {}, { a: { url: "http://127.0.0.1:1" } }));
      expect((await backend("a")).ewmaMs).toBeNull();
    });

    it("forgets metrics that are no longer reported", async () => {
      await configure(facts({ a: 1 }));
      await reports({ a: { ...took(1, 10), metrics: { cpu: 0.25 } } });
      advance(10_000);
      await reports({ a: { ...took(1, 10), metrics: { queue: 3 } } });
      expect((await backend("a")).metrics).toEqual({ queue: 3 });
    });

    it("shows the metrics a backend reports, with its answers or to an agent's question, the last of each", async () => {
      await configure(facts({ a: 1, b: 1 }));
      expect((await backend("a")).metrics).toEqual({});
      await reports({ a: { ...took(1, 10), metrics: { cpu: 0.25, queue: 3 } } });
      await scene.ledger.observe(POOL, [{ ...found("a", true), metrics: { cpu: 0.75 } }]);
      expect((await backend("a")).metrics).toEqual({ cpu: 0.75, queue: 3 });
      expect((await backend("b")).metrics).toEqual({});
    });
  });
}
