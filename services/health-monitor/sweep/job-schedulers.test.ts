import { describe, expect, it } from "vitest";
import { AHEAD_MS, OVERDUE_MS, planSchedulers } from "./job-schedulers.ts";

const NOW_MS = 1_800_000_000_000;
const present = (id: string, nextMs = NOW_MS) => ({ id, nextMs });

describe("the plan for job schedulers", () => {
  it("adds those that are missing", () => {
    expect(planSchedulers(["0-of-1"], [], NOW_MS)).toEqual({ add: ["0-of-1"], lost: [], remove: [] });
  });

  it("removes those whose shard is gone", () => {
    expect(planSchedulers([], [present("0-of-2")], NOW_MS)).toEqual({
      add: [],
      lost: [],
      remove: ["0-of-2"],
    });
  });

  it("leaves what is right alone, so that doing it again does nothing", () => {
    const wanted = ["0-of-2", "1-of-2"];
    const scheduled = wanted.map((id) => present(id));
    expect(planSchedulers(wanted, scheduled, NOW_MS)).toEqual({ add: [], lost: [], remove: [] });
  });

  it("doubts one whose next job is overdue, and not before", () => {
    const lostAt = (nextMs: number) => planSchedulers(["a"], [present("a", nextMs)], NOW_MS).lost.length;
    expect(lostAt(NOW_MS - OVERDUE_MS)).toBe(0);
    expect(lostAt(NOW_MS - OVERDUE_MS - 1)).toBe(1);
  });

  it("doubts one whose next job is so far away that a clock must have been ahead", () => {
    const lostAt = (nextMs: number) => planSchedulers(["a"], [present("a", nextMs)], NOW_MS).lost.length;
    expect(lostAt(NOW_MS + AHEAD_MS)).toBe(0);
    expect(lostAt(NOW_MS + AHEAD_MS + 1)).toBe(1);
  });
});
