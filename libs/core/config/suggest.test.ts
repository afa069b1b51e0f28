import { expect, test } from "vitest";
import { closest, editDistance } from "./suggest.ts";

test.each([
  ["", "", 0],
  ["weight", "weight", 0],
  ["wieght", "weight", 1],
  ["polcy", "policy", 1],
  ["kitten", "sitting", 3],
  ["", "abc", 3],
])("%j is %j after that many edits", (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

test("suggests the closest known word, whatever its case", () => {
  expect(closest("Debugheader", ["listeners", "debugHeaders"])).toBe("debugHeaders");
  expect(closest("routs", ["routes", "route"])).toBe("routes");
});

test("suggests nothing when every word is far, or the word so short that anything is near", () => {
  expect(closest("banana", ["listeners", "pools"])).toBeNull();
  expect(closest("x", ["id", "url"])).toBeNull();
});
