import { describe, expect, it } from "vitest";
import { isSameWish, isUsed, modeWished, tidied, weightWished } from "./agent.ts";
import { found } from "./fixtures.ts";
import { MAX_DETAIL } from "./ledger.ts";

const wish = (weightPercent: number, drain = false) => ({ weightPercent, drain });

describe("what an agent asks for", () => {
  it("is a part of the weight, never so small that it is none, and the whole where it asks for nothing", () => {
    expect(weightWished(4, null)).toBe(4);
    expect(weightWished(4, wish(100))).toBe(4);
    expect(weightWished(4, wish(25))).toBe(1);
    expect(weightWished(1, wish(5))).toBe(51 / 1_024);
  });

  it("is to be left alone with drain, and with no weight at all", () => {
    expect([isUsed("active", null), isUsed("active", wish(5)), isUsed("draining", null)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([isUsed("active", wish(0)), isUsed("active", wish(100, true))]).toEqual([false, false]);
    expect([modeWished("active", wish(0)), modeWished("disabled", wish(0))]).toEqual([
      "draining",
      "disabled",
    ]);
  });

  it("is the same when it asks for all of the weight as when it asks for nothing", () => {
    expect(isSameWish(null, wish(100))).toBe(true);
    expect(isSameWish(null, wish(95))).toBe(false);
    expect(isSameWish(wish(50), wish(50, true))).toBe(false);
  });
});

describe("a finding as the ledger takes it", () => {
  const agentOf = (weightPercent: number) =>
    tidied({ ...found("a", true), agent: wish(weightPercent) }).agent;

  it("has weights in steps of 5 %, from 0 to 100, and only 0 is 0", () => {
    const asked = [-3, 0, 0.2, 7.4, 7.5, 52, 99, 1_000, Number.NaN];
    expect(asked.map((percent) => agentOf(percent)?.weightPercent)).toEqual([
      0, 0, 5, 5, 10, 50, 100, 100, 100,
    ]);
  });

  it("says at most so much, in text that any decoder takes, and nothing where it has nothing to say", () => {
    const detail = `${"x".repeat(MAX_DETAIL - 1)}🙂`;
    expect(tidied({ ...found("a", false), detail }).detail).toBe(`${"x".repeat(MAX_DETAIL - 1)}\ufffd`);
    expect(tidied({ ...found("a", false), detail: "" })).toEqual(found("a", false));
  });

  it("was due at a whole number of milliseconds", () => {
    expect(tidied({ ...found("a", false), dueMs: 17.9 }).dueMs).toBe(17);
  });
});
