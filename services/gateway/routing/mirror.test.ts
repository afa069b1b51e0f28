import { describe, expect, it } from "vitest";
import { seeded } from "../test-support/chance.ts";
import { proxiedRouteOf } from "../test-support/routes.ts";
import { compileMirror } from "./mirror.ts";

const drawn = (percent: number | undefined, random: () => number, times: number): number => {
  const route = proxiedRouteOf({ mirror: { pool: "shadow", ...(percent !== undefined && { percent }) } });
  const mirror = compileMirror(route, random);
  return Array.from({ length: times }, () => mirror?.draw()).filter(Boolean).length;
};

describe("a mirror", () => {
  it("copies as large a share of the requests as it is told, all by default", () => {
    expect(drawn(undefined, () => 1 - 2 ** -53, 10)).toBe(10);
    expect(drawn(10, seeded(2), 20_000)).toBeGreaterThan(1_850);
    expect(drawn(10, seeded(2), 20_000)).toBeLessThan(2_150);
  });

  it("knows its pool and how large a body it copies", () => {
    const route = proxiedRouteOf({ mirror: { pool: "shadow", maxBodyBytes: 10 } });
    expect(compileMirror(route, () => 0)).toMatchObject({ pool: "shadow", maxBodyBytes: 10 });
  });

  it("is not there unless the route has one", () => {
    expect(compileMirror(proxiedRouteOf({}), () => 0)).toBeNull();
  });
});
