import type { ShownPool } from "@evenkeel/core/wire/shown-pool.ts";
import { expect, test } from "vitest";
import { AdminApiError } from "../admin-api.ts";
import { waitUntilDrained } from "./drained.ts";

const AMPLE_MS = 10_000;

/** What the cluster says, one look after the other; the last for ever. */
type Look = { mode: string; inflight: number } | "gone" | Error;

function scene(looks: Look[], timeoutMs = AMPLE_MS) {
  const said: string[] = [];
  const printed: string[] = [];
  const stop = new AbortController();
  let count = 0;
  const pool = async () => {
    const look = looks[Math.min(count, looks.length - 1)] as Look;
    count += 1;
    if (look instanceof Error) throw look;
    const other = { id: "shop-2", mode: "active", inflight: 9, drained: false };
    const drained = look !== "gone" && look.mode === "draining" && look.inflight === 0;
    return {
      backends: look === "gone" ? [other] : [other, { id: "shop-1", ...look, drained }],
    } as unknown as ShownPool;
  };
  const context = {
    print: (line: string) => printed.push(line),
    say: (line: string) => said.push(line),
    signal: stop.signal,
  };
  const done = waitUntilDrained({
    api: { pool },
    pool: "shop",
    backend: "shop-1",
    timeoutMs,
    context,
    pollIntervalMs: 1,
  });
  return { done, said, printed, stop };
}

const draining = (inflight: number) => ({ mode: "draining", inflight });

test("comes back when nothing is in flight any more, and says how much is left until then, once each", async () => {
  const { done, said, printed } = scene([draining(3), draining(3), draining(1), draining(0)]);
  expect(await done).toBe(true);
  expect(said).toEqual(["shop-1 of pool shop has 3 in flight", "shop-1 of pool shop has 1 in flight"]);
  expect(printed).toEqual(["shop-1 of pool shop is drained"]);
});

test("gives up in the end", async () => {
  const { done, said, printed } = scene([draining(2)], 30);
  expect(await done).toBe(false);
  expect(said).toEqual([
    "shop-1 of pool shop has 2 in flight",
    "shop-1 of pool shop is not drained after 0.03 s",
  ]);
  expect(printed).toEqual([]);
});

test.each([
  ["somebody sets it active", { mode: "active", inflight: 1 }, "shop-1 of pool shop is active again"],
  ["it is removed", "gone", "shop-1 of pool shop is no longer configured"],
  [
    "its pool is removed",
    new AdminApiError(404, "no such pool"),
    "shop-1 of pool shop is no longer configured",
  ],
] as const)("gives up when %s", async (_, look, reason) => {
  const { done, said } = scene([draining(1), look]);
  expect(await done).toBe(false);
  expect(said.at(-1)).toBe(reason);
});

test("waits for schedulers that are away for a while, and for Redis", async () => {
  const away = new AdminApiError(0, "no scheduler can be reached");
  const { done, said } = scene([away, away, new AdminApiError(503, "redis: away"), draining(0)]);
  expect(await done).toBe(true);
  expect(said).toEqual(["no scheduler can be reached", "redis: away"]);
});

test("tells of a refusal", async () => {
  const { done } = scene([new AdminApiError(401, "needs a token")]);
  await expect(done).rejects.toThrow("needs a token");
});

test("ends when it is interrupted", async () => {
  const { done, stop } = scene([draining(1)]);
  stop.abort();
  expect(await done).toBe(false);
});
