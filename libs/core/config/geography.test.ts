import { describe, expect, it } from "vitest";
import { distanceKm, distancesTo, distanceTable } from "./geography.ts";

const FRANKFURT = { latitude: 50.11, longitude: 8.68 };
const NEW_YORK = { latitude: 40.71, longitude: -74.01 };
const SYDNEY = { latitude: -33.87, longitude: 151.21 };

describe("the distance between places", () => {
  it("is that along the surface of the earth", () => {
    expect(distanceKm(FRANKFURT, NEW_YORK)).toBeGreaterThan(6_150);
    expect(distanceKm(FRANKFURT, NEW_YORK)).toBeLessThan(6_250);
    expect(distanceKm(FRANKFURT, SYDNEY)).toBeGreaterThan(16_400);
    expect(distanceKm(FRANKFURT, SYDNEY)).toBeLessThan(16_600);
  });

  it("is the same there and back, and 0 to itself", () => {
    expect(distanceKm(SYDNEY, NEW_YORK)).toBe(distanceKm(NEW_YORK, SYDNEY));
    expect(distanceKm(SYDNEY, SYDNEY)).toBe(0);
  });

  it("is short across the date line, and half the way round at most", () => {
    expect(distanceKm({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 })).toBe(111);
    expect(distanceKm({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 180 })).toBe(20_015);
    expect(distanceKm({ latitude: 90, longitude: 17 }, { latitude: -90, longitude: -99 })).toBe(20_015);
  });
});

describe("the distance between zones", () => {
  const zones = [{ name: "eu", ...FRANKFURT }, { name: "us", ...NEW_YORK }, { name: "lab" }];
  const distances = [
    { between: ["lab", "eu"], distance: 7 },
    { between: ["eu", "us"], distance: 1_000 },
  ];
  const between = (geography: Parameters<typeof distanceTable>[0], a: string, b: string) =>
    distanceTable(geography).get(a)?.get(b);

  it("is what the configuration says, either way round, before what coordinates say", () => {
    expect(between({ zones, distances }, "eu", "us")).toBe(1_000);
    expect(between({ zones, distances }, "us", "eu")).toBe(1_000);
    expect(between({ zones }, "us", "eu")).toBe(distanceKm(FRANKFURT, NEW_YORK));
  });

  it("is 0 within a zone, also where nothing is known of it", () => {
    expect(between({ zones }, "lab", "lab")).toBe(0);
    expect(between({ zones }, "eu", "eu")).toBe(0);
  });

  it("is unknown where neither a distance nor coordinates are given", () => {
    expect(between({ zones, distances }, "lab", "us")).toBeUndefined();
    expect(between({ zones, distances }, "eu", "atlantis")).toBeUndefined();
  });

  it("is not taken from half a pair of coordinates, but from a 0 of them", () => {
    const half = [
      { name: "a", latitude: 1 },
      { name: "b", ...SYDNEY },
    ];
    expect(between({ zones: half }, "a", "b")).toBeUndefined();
    const origin = [
      { name: "a", latitude: 0, longitude: 0 },
      { name: "b", latitude: 0, longitude: 1 },
    ];
    expect(between({ zones: origin }, "a", "b")).toBe(111);
  });

  it("is told from every zone to those that have backends", () => {
    const table = distanceTable({ zones, distances });
    expect(distancesTo(table, new Set(["us", "eu"]))).toEqual({
      eu: { eu: 0, us: 1_000 },
      us: { eu: 1_000, us: 0 },
      lab: { eu: 7 },
    });
    expect(distancesTo(table, new Set())).toEqual({ eu: {}, us: {}, lab: {} });
  });
});
