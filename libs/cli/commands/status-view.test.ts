import type { BackendState, PoolState } from "@evenkeel/core/ledger/ledger.ts";
import { expect, test } from "vitest";
import { age, renderStatus, table } from "./status-view.ts";

const NOW_MS = 1_000_000;

const backend = (overrides: Partial<BackendState>): BackendState => ({
  id: "shop-1",
  url: "http://127.0.0.1:9001",
  weight: 2,
  effectiveWeight: 2,
  zone: null,
  maxInflight: null,
  inflight: 3,
  health: "healthy",
  reason: "initial",
  sinceMs: NOW_MS - 12_000,
  mode: "active",
  ready: true,
  ewmaMs: 1.234,
  ...overrides,
});

const pool: PoolState = {
  pool: "shop",
  version: 7,
  policy: "least-connections",
  panic: false,
  backends: [
    backend({}),
    backend({
      id: "shop-10",
      zone: "eu",
      health: "unhealthy",
      reason: "probe",
      ready: false,
      ewmaMs: null,
      effectiveWeight: 0,
    }),
  ],
};

test("shows each pool as an aligned table, then who is running", () => {
  const member = {
    role: "gateway" as const,
    id: "gateway-1.ab",
    adminUrl: "http://h:1",
    pid: 7,
    startedAtMs: NOW_MS,
  };
  expect(renderStatus({ pools: [pool], members: [member] }, NOW_MS)).toBe(
    `pool shop  (least-connections, 1 of 2 ready, 6 in flight, version 7)
  backend  url                    zone  weight     in-flight  health                 mode    ewma
  shop-1   http://127.0.0.1:9001  -     2          3          healthy 12s (initial)  active  1.2 ms
  shop-10  http://127.0.0.1:9001  eu    2 (now 0)  3          unhealthy 12s (probe)  active  -

gateway: 1 alive
  gateway-1.ab  http://h:1  pid 7  up 0s

scheduler: none alive

health-monitor: none alive`,
  );
});

test("says that a pool is in panic", () => {
  expect(renderStatus({ pools: [{ ...pool, panic: true }], members: [] }, NOW_MS)).toContain("PANIC");
});

test("says that there are no pools", () => {
  expect(renderStatus({ pools: [], members: [] }, NOW_MS)).toContain("no pools");
});

test.each([
  [-5_000, "0s"],
  [119_999, "119s"],
  [120_000, "2m"],
  [7_200_000, "2h"],
  [172_800_000, "2d"],
])("%d ms is shown as %s", (ms, text) => {
  expect(age(ms)).toBe(text);
});

test("a table without rows is empty", () => {
  expect(table([])).toEqual([]);
});
