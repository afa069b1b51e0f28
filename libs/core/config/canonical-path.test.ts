import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalPath } from "./canonical-path.ts";

const UNRESERVED = /[A-Za-z0-9\-._~]/;

/** One of the spellings of a character. */
function spelled(code: number, way: number): string {
  const character = String.fromCharCode(code);
  if (way === 0 && UNRESERVED.test(character)) return character;
  const digits = code.toString(16).padStart(2, "0");
  return `%${way === 1 ? digits : digits.toUpperCase()}`;
}

describe("canonicalPath", () => {
  test.each([
    ["/admin", "/admin"],
    ["/%61dmin", "/admin"],
    ["/%41%5a%7A%30%39%2d%2E%5f%7e", "/AZz09-._~"],
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/caf%C3%A9", "/caf%C3%A9"],
    ["/a%20b%21%40%3a", "/a%20b%21%40%3A"],
    ["/%2561", "/%2561"],
    ["/%25%36%31", "/%2561"],
  ])("spells %s as %s", (path, expected) => {
    expect(canonicalPath(path)).toBe(expected);
  });

  test("is the same for all spellings of a path, and its own", () => {
    const code = fc.integer({ min: 0, max: 255 });
    const way = fc.integer({ min: 0, max: 2 });
    fc.assert(
      fc.property(fc.array(fc.tuple(code, way, way), { maxLength: 8 }), (characters) => {
        const one = characters.map(([code, way]) => spelled(code, way)).join("");
        const other = characters.map(([code, , way]) => spelled(code, way)).join("");
        const shortest = characters.map(([code]) => spelled(code, 0)).join("");
        expect(canonicalPath(one)).toBe(shortest);
        expect(canonicalPath(other)).toBe(shortest);
        expect(canonicalPath(shortest)).toBe(shortest);
      }),
      { seed: 6, numRuns: 2_000 },
    );
  });
});
