import { describe, expect, test } from "vitest";
import { distanceKm } from "./geography.ts";
import { resolveConfig, resolvePool } from "./resolve.ts";
import type { ConfigDocument, GeographyDocument, PoolDocument } from "./schema.ts";

const GEOGRAPHY: GeographyDocument = {
  zones: [
    { name: "frankfurt", latitude: 50.11, longitude: 8.68 },
    { name: "new-york", latitude: 40.71, longitude: -74.01 },
    { name: "office" },
  ],
  distances: [
    { between: ["office", "frankfurt"], distance: 20 },
    { between: ["new-york", "office"], distance: 7_000 },
  ],
};

const pool = (more: Partial<PoolDocument> = {}): PoolDocument => ({
  name: "shop",
  backends: [
    { id: "a", url: "http://10.0.0.1:80", zone: "frankfurt", cost: 3 },
    { id: "b", url: "http://10.0.0.2:80", zone: "new-york" },
  ],
  ...more,
});

describe("a pool", () => {
  test("has every default of scheduling", () => {
    expect(resolvePool({ name: "shop", backends: [{ id: "a", url: "http://h" }] })).toMatchObject({
      policy: "least-connections",
      panicPercent: 50,
      slowStart: { windowMs: 30_000, fromPercent: 10 },
      hash: { key: "address", name: "" },
      hashBound: 1.25,
      spillAt: 100,
      criteria: [],
      distances: {},
      reports: { header: [], agent: null },
      affinity: null,
      backends: [{ zone: null, maxInflight: null, priority: 0, cost: 0 }],
    });
    expect(resolvePool(pool({ affinity: {} })).affinity).toEqual({
      cookie: "evenkeel",
      maxAgeS: null,
      secure: false,
    });
    const agent = { path: "/load", metrics: ["cpu"] };
    expect(resolvePool(pool({ reports: { agent } })).reports.agent).toEqual({
      ...agent,
      ...{ port: null, weight: null, drain: null },
    });
  });

  test("knows a header by its lower case, and a cookie as it is", () => {
    const hash = { key: "header" as const, name: "X-User" };
    expect(resolvePool(pool({ policy: "hash", hash })).hash.name).toBe("x-user");
    expect(resolvePool(pool({ policy: "hash", hash: { ...hash, key: "cookie" } })).hash.name).toBe("X-User");
  });

  test("knows the distances from everywhere to its backends, and none that its policy has no use for", () => {
    const document: ConfigDocument = {
      listeners: [],
      routes: [],
      pools: [pool({ policy: "geo" }), pool({ name: "other" })],
      geography: GEOGRAPHY,
    };
    const [near, other] = resolveConfig(document).pools;
    expect(near?.distances).toEqual({
      frankfurt: { frankfurt: 0, "new-york": 6_203 },
      "new-york": { "new-york": 0, frankfurt: 6_203 },
      office: { frankfurt: 20, "new-york": 7_000 },
    });
    expect(other?.distances).toEqual({});
    expect(resolvePool(pool({ policy: "geo" }), GEOGRAPHY).distances).toEqual(near?.distances);
  });

  test("believes a distance that is given rather than coordinates", () => {
    const distances = [{ between: ["new-york", "frankfurt"], distance: 1 }];
    const resolved = resolvePool(pool({ policy: "geo" }), { ...GEOGRAPHY, distances });
    expect(resolved.distances.frankfurt).toEqual({ frankfurt: 0, "new-york": 1 });
  });

  test("takes as 1 of a criterion what is most of it, or usual", () => {
    const names = ["connections", "latency", "errors", "distance", "cost", "cpu"];
    const criteria = names.map((name) => ({ name, weight: 1 }));
    const scales = (more: Partial<PoolDocument>) =>
      resolvePool(pool({ policy: "criteria", criteria, ...more }), GEOGRAPHY).criteria.map((c) => c.scale);
    expect(scales({})).toEqual([10, 1, 1, 7_000, 3, 1]);
    expect(scales({ backends: [] })).toEqual([10, 1, 1, 1, 1, 1]);
    expect(scales({ criteria: [{ name: "cost", weight: 1, scale: 0.5 }] })).toEqual([0.5]);
  });
});

describe("distance along the surface", () => {
  test.each([
    ["of a place from itself", [50, 8], [50, 8], 0],
    ["across the date line", [0, 179], [0, -179], 222],
    ["from pole to pole", [90, 0], [-90, 77], 20_015],
  ])("%s", (_, [aLat, aLong], [bLat, bLong], km) => {
    const [a, b] = [
      { latitude: aLat as number, longitude: aLong as number },
      { latitude: bLat as number, longitude: bLong as number },
    ];
    expect(distanceKm(a, b)).toBe(km);
    expect(distanceKm(b, a)).toBe(km);
  });
});
