import type { ShownEvent } from "@evenkeel/core/wire/shown-event.ts";
import { expect, test } from "vitest";
import { ordinal, renderEvent } from "./events-view.ts";

const AT_MS = new Date(2026, 10, 22, 12, 3, 4, 123).getTime();
const at = { id: "shop/1-0", pool: "shop", version: 7, atMs: AT_MS };
const left = {
  ...at,
  ...{ type: "health", backend: "b2", from: "healthy", to: "unhealthy", reason: "traffic" },
  ...{ detail: "3 failures in a row", ejections: 2 },
} as const satisfies ShownEvent;

// biome-ignore format: a table
const LINES: [ShownEvent, string][] = [
  [left, "shop/b2 healthy → unhealthy (traffic: 3 failures in a row), 2nd time lately"],
  [{ ...left, ejections: 1, detail: null }, "shop/b2 healthy → unhealthy (traffic)"],
  [{ ...left, from: "unhealthy", to: "healthy", reason: "probation", detail: null }, "shop/b2 unhealthy → healthy (probation)"],
  [{ ...at, type: "mode", backend: "b1", from: "active", to: "draining" }, "shop/b1 active → draining (operator)"],
  [{ ...at, type: "agent", backend: "b1", weightPercent: 50, drain: false }, "shop/b1 its agent asks for 50 % of its weight"],
  [{ ...at, type: "agent", backend: "b1", weightPercent: 50, drain: true }, "shop/b1 its agent asks for no new requests"],
  [{ ...at, type: "agent", backend: "b1", weightPercent: 100, drain: false }, "shop/b1 its agent asks for nothing any more"],
  [{ ...at, type: "panic", on: true }, "shop PANIC begins: too few are healthy, all active ones are used"],
  [{ ...at, type: "panic", on: false }, "shop panic is over: enough are healthy"],
  [{ ...at, type: "members", configVersion: 9, joined: ["a", "b"], left: ["c"], size: 4 }, "shop 4 backends: joined a, b; left c (configuration 9)"],
  [{ ...at, type: "members", configVersion: 9, joined: [], left: [], size: 4 }, "shop 4 backends (configuration 9)"],
  [{ ...left, detail: "status 500\u001b[2J\nboo" }, "shop/b2 healthy → unhealthy (traffic: status 500?[2J?boo), 2nd time lately"],
  [{ ...at, type: "eclipse" } as unknown as ShownEvent, "shop eclipse"],
];

test.each(LINES)("%j is one readable line", (event, line) => {
  expect(renderEvent(event, AT_MS)).toBe(`12:03:04.123 ${line}`);
});

test("an event of another day has a date", () => {
  expect(renderEvent(left, AT_MS + 86_400_000)).toMatch(/^2026-11-22 12:03:04\.123 shop\/b2 /);
});

test.each([
  [1, "1st"],
  [2, "2nd"],
  [3, "3rd"],
  [4, "4th"],
  [11, "11th"],
  [12, "12th"],
  [21, "21st"],
  [113, "113th"],
])("%d is the %s", (n, text) => {
  expect(ordinal(n)).toBe(text);
});
