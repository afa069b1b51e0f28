// Who fails a share of its requests leaves, also where it never fails often enough in a row.
import { describe, expect, it } from "vitest";
import { facts, outcome } from "../fixtures.ts";
import { type Create, createScene } from "./scene.ts";

/** Never in a row. */
const mixed = (success: number, failure: number) => outcome({ success, failure, latencyUs: 1_000 });

export function failureShare(create: Create): void {
  describe("the share of failures", () => {
    const { configure, reports, backend, advance, pool, probe } = createScene(create);
    const rule = { failurePercent: 50, windowMs: 10_000, minRequests: 20 };
    const health = async () => (await backend("a")).health;

    it("takes a backend out as soon as enough of enough requests have failed, over all gateways", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(4, 5) }, "g1");
      await reports({ a: mixed(5, 5) }, "g2");
      expect(await health()).toBe("healthy");
      await reports({ a: mixed(1, 0) }, "g1");
      expect(await backend("a")).toMatchObject({
        ...{ health: "unhealthy", reason: "traffic", ejections: 1 },
        detail: "50 % of 20 requests failed",
      });
    });

    it("says nothing of fewer requests, nor of a smaller share", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 18) });
      await reports({ b: mixed(11, 10) });
      expect(await health()).toBe("healthy");
      expect((await backend("b")).health).toBe("healthy");
    });

    it("counts from the first failure on, not what went well before", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1_000, 0) });
      await reports({ a: mixed(10, 10) });
      expect(await health()).toBe("unhealthy");
    });

    it("forgets a window that ran out", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 18) });
      advance(10_000);
      await reports({ a: mixed(1, 9) });
      expect(await health()).toBe("healthy");
      advance(9_999);
      await reports({ a: mixed(1, 9) });
      expect(await backend("a")).toMatchObject({ health: "unhealthy", detail: "90 % of 20 requests failed" });
    });

    it("never counts canceled requests", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: { ...mixed(1, 18), canceled: 50 } });
      await reports({ a: outcome({ canceled: 50 }) });
      expect(await health()).toBe("healthy");
    });

    it("begins anew once the backend has been out", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 18) });
      await probe("a", false, 3);
      await probe("a", true, 2);
      await reports({ a: mixed(1, 9) });
      expect(await health()).toBe("healthy");
    });

    it("is no rule at 0 percent, also for a window that was open", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 18) });
      await configure(facts({ a: 1, b: 1 }, { ...rule, failurePercent: 0 }));
      await reports({ a: mixed(1, 90) });
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 9) });
      expect(await health()).toBe("healthy");
    });

    it("keeps no window open for as long as a clock was set back", async () => {
      await configure(facts({ a: 1, b: 1 }, rule));
      await reports({ a: mixed(1, 18) });
      advance(-3_600_000);
      await pool();
      advance(10_000);
      await reports({ a: mixed(1, 9) });
      expect(await health()).toBe("healthy");
    });
  });
}
