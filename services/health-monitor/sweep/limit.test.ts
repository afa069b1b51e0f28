import { describe, expect, it } from "vitest";
import { createLimit } from "./limit.ts";

describe("a limit", () => {
  it("never runs more than so many, and runs all of them", async () => {
    const limit = createLimit(3);
    let running = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        limit(async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise(setImmediate);
          running -= 1;
          return i;
        }),
      ),
    );
    expect(most).toBe(3);
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it("gives a failed task's place to the next", async () => {
    const limit = createLimit(1);
    await expect(limit(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(await limit(async () => "next")).toBe("next");
  });
});
