import { describe, expect, it } from "vitest";
import { createTimeline } from "./timeline.ts";

describe("the timeline", () => {
  it("lets things happen in order of time, and of asking where the times are equal", async () => {
    const timeline = createTimeline();
    const happened: string[] = [];
    const note = (name: string) => () => {
      happened.push(`${name} at ${timeline.nowMs}`);
      return undefined;
    };
    timeline.after(3, note("c"));
    timeline.after(1, note("a"));
    timeline.after(3, note("d"));
    timeline.after(2, () => {
      timeline.after(0.5, note("b"));
      return undefined;
    });
    await timeline.run();
    expect(happened).toEqual(["a at 1", "b at 2.5", "c at 3", "d at 3"]);
  });

  it("keeps the order of ten thousand events that were asked for in any order", async () => {
    const timeline = createTimeline();
    const at: number[] = [];
    for (let i = 0; i < 10_000; i += 1) {
      timeline.after((i * 7_919) % 10_007, () => {
        at.push(timeline.nowMs);
        return undefined;
      });
    }
    await timeline.run();
    expect(at).toHaveLength(10_000);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
  });

  it("stands still while something that happens is awaited", async () => {
    const timeline = createTimeline();
    const happened: string[] = [];
    timeline.after(1, async () => {
      await Promise.resolve();
      await Promise.resolve();
      happened.push(`awaited at ${timeline.nowMs}`);
    });
    timeline.after(1.1, () => {
      happened.push("next");
      return undefined;
    });
    await timeline.run();
    expect(happened).toEqual(["awaited at 1", "next"]);
  });
});
