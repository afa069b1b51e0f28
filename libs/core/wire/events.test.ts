import { describe, expect, it } from "vitest";
import { parseEvent } from "./events.ts";

const CHANGE = {
  ...{ backend: "a", health: "unhealthy", mode: "active", reason: "probe" },
  ...{ weightPercent: 100, drain: false },
};
const POOL = { type: "pool", pool: "shop", version: 7, atMs: 90, changes: [CHANGE] };
const parse = (value: unknown) => parseEvent(JSON.stringify(value));

describe("an event", () => {
  it.each([
    POOL,
    { ...POOL, changes: undefined },
    { type: "config", version: 3 },
    { type: "registration", pool: "shop", version: 3 },
  ])("is taken as it came: %j", (event) => {
    expect(parse(event)).toEqual(event);
  });

  it.each([null, 7, [], {}, { ...POOL, pool: 1 }, { ...POOL, version: "7" }, { ...POOL, type: "other" }])(
    "is none without what all of them have: %j",
    (event) => {
      expect(parse(event)).toBeNull();
    },
  );

  const { weightPercent: _, drain: __, ...untold } = CHANGE;
  it.each([
    { ...POOL, atMs: undefined, changes: [untold] }, // of an earlier release
    { ...POOL, atMs: "90" },
    ...[null, 5, {}, [null], [{ ...CHANGE, backend: 1 }], [{ ...CHANGE, health: "well" }]].map((changes) => ({
      ...POOL,
      changes,
    })),
    ...[{ mode: null }, { weightPercent: "50" }, { drain: 1 }].map((odd) => ({
      ...POOL,
      changes: [CHANGE, { ...CHANGE, ...odd }],
    })),
  ])("only says that the pool is to be read again where the rest is not what it should be: %j", (event) => {
    expect(parse(event)).toEqual({ type: "pool", pool: "shop", version: 7, atMs: expect.any(Number) });
  });
});
