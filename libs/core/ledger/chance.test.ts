import { describe, expect, it } from "vitest";
import { FIRST_CHANCE, nextChance, share } from "./chance.ts";

const DRAWS = 100_000;

function draws(n: number): number[] {
  let chance = FIRST_CHANCE;
  return Array.from({ length: n }, () => {
    chance = nextChance(chance);
    return chance;
  });
}

describe("chance", () => {
  it("is the minimal standard generator: its 10,000th number from 1 is the published one", () => {
    let chance = 1;
    for (let i = 0; i < 10_000; i += 1) chance = nextChance(chance);
    expect(chance).toBe(399_268_537);
  });

  it("stays within what doubles hold exactly, and never gets stuck at 0", () => {
    for (const chance of draws(1_000)) {
      expect(chance).toBeGreaterThan(0);
      expect(chance).toBeLessThan(2 ** 31 - 1);
      expect(Number.isSafeInteger(chance * 48_271)).toBe(true);
    }
    expect(nextChance(2 ** 31 - 2)).toBe(2 ** 31 - 1 - 48_271);
  });

  it("is spread evenly, alone and in pairs that follow each other", () => {
    const shares = draws(DRAWS).map(share);
    const cells = new Array<number>(100).fill(0);
    for (let i = 1; i < DRAWS; i += 1) {
      const cell = Math.floor((shares[i - 1] as number) * 10) * 10 + Math.floor((shares[i] as number) * 10);
      cells[cell] = (cells[cell] as number) + 1;
    }
    const expected = (DRAWS - 1) / 100;
    const chiSquare = cells.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(149); // 99 degrees of freedom: one of a thousand fair ones is above
    expect(chiSquare).toBeGreaterThan(60);
  });
});
