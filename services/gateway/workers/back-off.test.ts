import { describe, expect, it } from "vitest";
import { restartDelayMs } from "./back-off.ts";

describe("the wait before a worker is started again", () => {
  it("is a second at first, and doubles with every short life up to ten", () => {
    const waits: number[] = [];
    for (let n = 0, last = 0; n < 6; n += 1) {
      last = restartDelayMs(last, 500);
      waits.push(last);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it("begins anew after a long life", () => {
    expect(restartDelayMs(10_000, 30_000)).toBe(1_000);
    expect(restartDelayMs(4_000, 29_999)).toBe(8_000);
  });
});
