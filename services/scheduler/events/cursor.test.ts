import { describe, expect, it } from "vitest";
import {
  advanced,
  BEGINNING,
  type Cursor,
  cursorFrom,
  decodeCursor,
  encodeCursor,
  idOf,
  LAG_MAX_MS,
  LISTED_MAX,
  placeOf,
  standing,
} from "./cursor.ts";

const NOW_MS = 1_790_000_000_000;
const at = (ms: number, n = 0) => ({ ms, n });
const LAST = Number.POSITIVE_INFINITY;

const again = (cursor: Cursor) => decodeCursor(encodeCursor(cursor));

describe("a cursor", () => {
  it("begins before everything, or at a time", () => {
    expect(idOf(standing(BEGINNING, "shop"))).toBeNull();
    expect(idOf(standing(cursorFrom(NOW_MS), "shop"))).toBe(`${NOW_MS - 1}-18446744073709551615`);
  });

  it("stands behind what was read of a pool, and at the base with all others", () => {
    const cursor = advanced(BEGINNING, new Map([["shop", at(NOW_MS, 3)]]));
    expect(standing(cursor, "shop")).toEqual(at(NOW_MS, 3));
    expect(standing(cursor, "billing")).toEqual(at(NOW_MS - LAG_MAX_MS, LAST));
  });

  it("no longer lists a pool whose last entry the base has passed", () => {
    const early = advanced(BEGINNING, new Map([["shop", at(NOW_MS)]]));
    const later = advanced(early, new Map([["billing", at(NOW_MS + LAG_MAX_MS)]]));
    expect([...later.listed.values()]).toEqual([at(NOW_MS + LAG_MAX_MS)]);
    expect(standing(later, "shop")).toEqual(at(NOW_MS, LAST));
  });

  it("keeps the place of a pool that could not be read, though the base moves on", () => {
    const early = advanced(BEGINNING, new Map([["shop", at(NOW_MS)]]));
    const later = advanced(early, new Map([["billing", at(NOW_MS + 10 * LAG_MAX_MS)]]), ["shop", "spare"]);
    expect(standing(later, "shop")).toEqual(at(NOW_MS));
    expect(standing(later, "spare")).toEqual(standing(early, "spare"));
    expect(again(later)).toEqual(later);
  });

  it("comes out of a URL as it went in", () => {
    const listed = new Map([
      [`shop`, at(NOW_MS, 0)],
      [`billing`, at(NOW_MS + 70_000, 123_456)],
    ]);
    const cursor = advanced(BEGINNING, listed);
    expect(again(cursor)).toEqual(cursor);
    expect(encodeCursor(cursor)).toMatch(/^[\w-]+$/);
  });

  it("fits into a URL with as many pools as there can be, all of which just changed", () => {
    const places = Array.from(
      { length: LISTED_MAX },
      (_, i) => [`pool-${i}`, at(NOW_MS + i * 60, i)] as const,
    );
    const cursor = advanced(BEGINNING, new Map(places));
    expect(again(cursor)).toEqual({ baseMs: cursor.baseMs, listed: new Map([...cursor.listed].reverse()) });
    expect(encodeCursor(cursor).length).toBeLessThan(15_000);
  });

  it.each(["", "!", "abc", "AA", encodeCursor(cursorFrom(NOW_MS)).slice(0, -2), "A".repeat(20_000)])(
    "refuses what is none: %s",
    (text) => {
      expect(decodeCursor(text)).toBeNull();
    },
  );

  it("refuses a number that no entry has, or that is cut off", () => {
    const listed = (n: number) => encodeCursor({ baseMs: NOW_MS, listed: new Map([[1, at(NOW_MS, n)]]) });
    expect(decodeCursor(listed(7))).not.toBeNull();
    expect(decodeCursor(listed(1e30))).toBeNull();
    const cut = Buffer.from(listed(7), "base64url").subarray(0, -1).toString("base64url");
    expect(decodeCursor(cut)).toBeNull();
  });

  it("takes ids of Redis Streams apart and puts them together", () => {
    for (const id of ["5-7", "1790000000000-18446744073709551615"]) expect(idOf(placeOf(id))).toBe(id);
    expect(idOf(placeOf("5-0"))).toBe("5"); // to Redis the same
  });
});
