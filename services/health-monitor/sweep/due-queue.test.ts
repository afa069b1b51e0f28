import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDueQueue } from "./due-queue.ts";

describe("a queue of what is due", () => {
  it("gives what is earliest, whatever was put in or taken out before", () => {
    const operations = fc.array(fc.option(fc.integer({ min: 0, max: 1_000 })), { maxLength: 300 });
    fc.assert(
      fc.property(operations, (todo) => {
        const queue = createDueQueue<string>();
        const model: number[] = [];
        for (const dueMs of todo) {
          if (dueMs === null) {
            const least = model.length > 0 ? Math.min(...model) : undefined;
            expect(queue.peek()?.dueMs).toBe(least);
            expect(queue.pop()?.dueMs).toBe(least);
            if (least !== undefined) model.splice(model.indexOf(least), 1);
          } else {
            queue.push({ dueMs, what: "probe" });
            model.push(dueMs);
          }
          expect(queue.size).toBe(model.length);
        }
      }),
    );
  });
});
