import { describe, expect, it, vi } from "vitest";
import { attempt, type Done } from "./attempt.ts";

describe("an attempt", () => {
  it("gives up after its limit and destroys the connection", async () => {
    let destroyed = 0;
    const result = await attempt(20, () => ({ destroy: () => (destroyed += 1) }));
    expect(result).toMatchObject({ ok: false, reason: "timeout" });
    expect(destroyed).toBe(1);
  });

  it("says how long it took", async () => {
    vi.useFakeTimers();
    try {
      const result = attempt(1_000, (done) => {
        setTimeout(done, 250, true, "fine");
        return { destroy() {} };
      });
      await vi.advanceTimersByTimeAsync(250);
      expect(await result).toEqual({ ok: true, latencyMs: 250, reason: "fine" });
    } finally {
      vi.useRealTimers();
    }
  });

  it("keeps to its first verdict", async () => {
    let done: Done = () => {};
    const result = attempt(1_000, (given) => {
      done = given;
      return { destroy: () => done(false, "destroyed") };
    });
    done(true, "first");
    done(false, "second");
    expect(await result).toMatchObject({ ok: true, reason: "first" });
  });

  it("destroys the connection even when the verdict came before it was there", async () => {
    let destroyed = 0;
    const result = await attempt(1_000, (done) => {
      done(false, "at once");
      return { destroy: () => (destroyed += 1) };
    });
    expect(result).toMatchObject({ ok: false, reason: "at once" });
    expect(destroyed).toBe(1);
  });

  it("turns an exception into a verdict", async () => {
    const result = await attempt(1_000, () => {
      throw new Error("no such thing");
    });
    expect(result).toMatchObject({ ok: false, reason: "no such thing" });
  });
});
