import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import { describe, expect, it } from "vitest";
import { planSchedulers } from "./job-schedulers.ts";
import { shardsOf, standstillMs } from "./shards.ts";

const NOW_MS = 1_800_000_000_000;

const shard = (name: string, intervalMs = 1_000) => {
  const [only] = shardsOf(
    resolvePool({
      name,
      backends: [{ id: "a", url: "http://127.0.0.1:1" }],
      health: { protocol: "tcp", intervalMs },
    }),
  );
  if (!only) throw new Error("a pool of one backend has one shard");
  return only;
};

const present = (id: string, intervalMs = 1_000, nextMs = NOW_MS) => ({ id, intervalMs, nextMs });

describe("the plan for job schedulers", () => {
  it("adds those that are missing", () => {
    const shop = shard("shop");
    expect(planSchedulers([shop], [], NOW_MS)).toEqual({ upsert: [shop], remove: [] });
  });

  it("removes those whose shard is gone", () => {
    expect(planSchedulers([], [present("old/0-of-1")], NOW_MS)).toEqual({
      upsert: [],
      remove: ["old/0-of-1"],
    });
  });

  it("changes those whose interval changed", () => {
    const shop = shard("shop", 2_000);
    expect(planSchedulers([shop], [present(shop.id, 1_000)], NOW_MS).upsert).toEqual([shop]);
  });

  it("leaves what is right alone, so that doing it again does nothing", () => {
    const wanted = [shard("shop"), shard("billing", 5_000)];
    const scheduled = wanted.map(({ id, probing }) => present(id, probing.intervalMs));
    expect(planSchedulers(wanted, scheduled, NOW_MS)).toEqual({ upsert: [], remove: [] });
  });

  it("sets one again whose next job is overdue for a standstill, and not before", () => {
    const shop = shard("shop");
    const limit = standstillMs(shop);
    expect(planSchedulers([shop], [present(shop.id, 1_000, NOW_MS - limit)], NOW_MS).upsert).toEqual([]);
    expect(planSchedulers([shop], [present(shop.id, 1_000, NOW_MS - limit - 1)], NOW_MS).upsert).toEqual([
      shop,
    ]);
  });

  it("sets one again whose next job is so far away that a clock must have been ahead", () => {
    const shop = shard("shop");
    const farthest = NOW_MS + 1_000 + standstillMs(shop);
    expect(planSchedulers([shop], [present(shop.id, 1_000, farthest)], NOW_MS).upsert).toEqual([]);
    expect(planSchedulers([shop], [present(shop.id, 1_000, farthest + 1)], NOW_MS).upsert).toEqual([shop]);
  });
});
