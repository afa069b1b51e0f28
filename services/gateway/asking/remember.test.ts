import { describe, expect, it } from "vitest";
import { remember } from "./remember.ts";

describe("remember", () => {
  const counting = (capacity: number) => {
    const computed: number[] = [];
    const ask = remember(capacity, (key: number) => {
      computed.push(key);
      return { key };
    });
    return { ask, computed };
  };

  it("computes once what is asked for again and again", () => {
    const { ask, computed } = counting(2);
    expect(ask(1)).toBe(ask(1));
    expect(computed).toEqual([1]);
  });

  it("keeps what is asked for often, however many others come, and forgets the others", () => {
    const { ask, computed } = counting(10);
    for (let other = 100; other < 200; other += 1) {
      ask(1);
      ask(other);
    }
    expect(computed.filter((key) => key === 1)).toHaveLength(1);
    ask(100);
    expect(computed.filter((key) => key === 100)).toHaveLength(2);
    ask(199);
    expect(computed.filter((key) => key === 199)).toHaveLength(1);
  });
});
