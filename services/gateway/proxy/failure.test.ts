import { describe, expect, it } from "vitest";
import { compileJudge, failureOf, HELD_BACK, SATURATED, statusTable } from "./failure.ts";

describe("a failed attempt", () => {
  it.each([
    ["refused", 502, "failure", "elsewhere"],
    ["unresolved", 502, "failure", "elsewhere"],
    ["unreachable", 502, "failure", "elsewhere"],
    ["connect-timeout", 504, "failure", "elsewhere"],
    ["tls", 502, "failure", "elsewhere"],
    ["broken", 502, "failure", "elsewhere"],
    ["headers-timeout", 504, "failure", "elsewhere"],
    ["idle-timeout", 504, "failure", "elsewhere"],
    ["invalid-answer", 502, "failure", "elsewhere"],
    ["stale", 502, "canceled", "anywhere"],
    ["unprocessed", 502, "canceled", "anywhere"],
    ["exhausted", 503, "canceled", "nowhere"],
    ["dropped", 502, "canceled", "elsewhere"],
  ] as const)("%s becomes %i, %s, and may do better %s", (fault, status, outcome, again) => {
    expect(failureOf(fault)).toMatchObject({ status, outcome, again });
  });

  it.each([
    ["stale", failureOf("stale"), true],
    ["held back", HELD_BACK, true],
    ["saturated", SATURATED, true],
    ["unprocessed", failureOf("unprocessed"), false], // says that the backend has too much to do
    ["refused", failureOf("refused"), false],
    ["broken", failureOf("broken"), false],
  ])("that is %s costs no budget of retries, or does", (_, { free }, expected) => {
    expect(free).toBe(expected);
  });
});

const outcomeOf = compileJudge([[502, 504]]);

describe("a table of statuses", () => {
  it("knows those that were named, singly or from one to another, and no others", () => {
    const table = statusTable([
      [500, 500],
      [502, 504],
    ]);
    const found = Array.from({ length: 1_000 }, (_, status) => status).filter((s) => table[s] === 1);
    expect(found).toEqual([500, 502, 503, 504]);
    expect(statusTable([]).includes(1)).toBe(false);
  });
});

describe("a complete answer", () => {
  it.each([
    [200, "success"],
    [404, "success"],
    [499, "success"],
    [500, "success"],
    [501, "success"],
    [502, "failure"],
    [503, "failure"],
    [504, "failure"],
    [507, "success"],
  ])("of status %i is a %s", (status, outcome) => {
    expect(outcomeOf(status)).toBe(outcome);
  });
});
