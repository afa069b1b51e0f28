import type { ShownBackend, ShownPool } from "@evenkeel/core/wire/shown-pool.ts";
import { expect, test } from "vitest";
import { age, renderStatus, table } from "./status-view.ts";

const NOW_MS = 1_000_000;

const backend = (overrides: Partial<ShownBackend>): ShownBackend => ({
  id: "shop-1",
  url: "http://127.0.0.1:9001",
  weight: 2,
  effectiveWeight: 2,
  zone: null,
  maxInflight: null,
  slots: null,
  priority: 0,
  cost: 0,
  inflight: 3,
  health: "healthy",
  reason: "initial",
  sinceMs: NOW_MS - 12_000,
  mode: "active",
  detail: null,
  ejections: 0,
  returnsMs: null,
  probedMs: null,
  agent: null,
  ready: true,
  ewmaMs: 1.234,
  metrics: {},
  drained: false,
  ...overrides,
});

const pool: ShownPool = {
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
      detail: "status 503",
      ejections: 2,
      returnsMs: NOW_MS + 7_500,
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
  shop-10: status 503, out for the 2nd time lately, back in 8s at the earliest

gateway: 1 alive
  gateway-1.ab  http://h:1  pid 7  up 0s

scheduler: none alive

health-monitor: none alive`,
  );
});

const tableOf = (...backends: ShownBackend[]) =>
  renderStatus({ pools: [{ ...pool, backends }], members: [] }, NOW_MS)
    .split("\n")
    .slice(1, 2 + backends.length);

test("shows tiers where there are several", () => {
  const [headings, first, second] = tableOf(backend({}), backend({ id: "spare", priority: 2 }));
  expect(headings).toMatch(/zone {2}tier {2}weight/);
  expect(first).toMatch(/- {5}0 {5}2/);
  expect(second).toMatch(/- {5}2 {5}2/);
  expect(tableOf(backend({ priority: 2 })).join()).not.toContain("tier");
});

test("shows the weight of a backend that starts slowly", () => {
  expect(tableOf(backend({ effectiveWeight: 0.2001953125 }))[1]).toContain("2 (now 0.2)");
});

test("shows how much is left of what drains, and when nothing is", () => {
  const draining = { mode: "draining", ready: false, effectiveWeight: 0 } as const;
  expect(tableOf(backend({ ...draining, inflight: 3 }))[1]).toContain("draining, 3 left");
  expect(tableOf(backend({ ...draining, inflight: 0, drained: true }))[1]).toMatch(/ drained {2}/);
});

test("shows what backends report of themselves, the first few of it", () => {
  const metrics = { queue: 1234.5, cpu: 0.12345, rps: 10, ram: 0.5 };
  const [headings, first, second] = tableOf(backend({ metrics }), backend({ id: "silent" }));
  expect(headings).toMatch(/ewma {4}reports$/);
  expect(first).toMatch(/ {2}cpu 0.123, queue 1230, ram 0.5, 1 more$/);
  expect(second).toMatch(/ {2}-$/);
});

test("says that a pool is in panic, and which takes its requests", () => {
  const pools = [{ ...pool, panic: true }];
  const told = renderStatus({ pools, members: [] }, NOW_MS);
  expect(told).toContain("PANIC");
  expect(told).not.toContain("FAILOVER");
  const failover = { shop: "spare" };
  expect(renderStatus({ pools, members: [], failover }, NOW_MS)).toContain("FAILOVER: pool spare takes");
  expect(renderStatus({ pools: [pool], members: [], failover }, NOW_MS)).not.toContain("FAILOVER");
  const none = [{ ...pool, backends: pool.backends.map((one) => ({ ...one, ready: false })) }];
  expect(renderStatus({ pools: none, members: [], failover }, NOW_MS)).toContain("FAILOVER");
});

const notesOf = (...backends: ShownBackend[]) =>
  renderStatus({ pools: [{ ...pool, backends }], members: [] }, NOW_MS)
    .split("\n\n")[0]
    ?.split("\n")
    .slice(2 + backends.length);

test("says what a backend's agent asks for", () => {
  const agent = { weightPercent: 50, drain: false };
  expect(notesOf(backend({ agent }), backend({ agent: { ...agent, drain: true } }))).toEqual([
    "  shop-1: its agent asks for 50 % of its weight",
    "  shop-1: its agent asks for no new requests",
  ]);
  expect(notesOf(backend({ agent: { weightPercent: 100, drain: false } }))).toEqual([]);
});

test("says of a backend that is out what was seen, and that it may return", () => {
  const out = { health: "unhealthy", reason: "traffic", ready: false } as const;
  expect(
    notesOf(backend({ ...out, detail: "3 failures in a row", ejections: 1, returnsMs: NOW_MS - 1 })),
  ).toEqual(["  shop-1: 3 failures in a row, may return at any time"]);
});

test("says it of the first of many", () => {
  const out = Array.from({ length: 30 }, () => backend({ health: "unhealthy", ready: false }));
  expect(notesOf(...out)).toHaveLength(21);
  expect(notesOf(...out)?.at(-1)).toBe("  … and 10 more");
});

test("keeps within the width of the terminal, and lets nothing move its cursor", () => {
  const evil = backend({ health: "unhealthy", ready: false, detail: "\u001b[2Jboo" });
  const text = renderStatus({ pools: [{ ...pool, backends: [evil] }], members: [] }, NOW_MS, 40);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBe(40);
  expect(text).toContain("?[2Jboo");
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
