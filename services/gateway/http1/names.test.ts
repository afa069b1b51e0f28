import { describe, expect, it } from "vitest";
import { CONTENT_LENGTH, nameOf, ORDINARY, TRANSFER_ENCODING } from "./names.ts";

describe("the name of a field", () => {
  it.each([
    ["Content-Length", "content-length", CONTENT_LENGTH],
    ["cOnTeNt-LeNgTh", "content-length", CONTENT_LENGTH],
    ["TRANSFER-ENCODING", "transfer-encoding", TRANSFER_ENCODING],
    ["X-Own", "x-own", ORDINARY],
    ["__proto__", "__proto__", ORDINARY],
    ["constructor", "constructor", ORDINARY],
  ])("%s is known by its lower-case form and its meaning", (written, lower, kind) => {
    for (let time = 0; time < 2; time += 1) expect(nameOf(written)).toEqual({ written, lower, kind });
  });

  it.each(["", " ", "a b", "a:", "a\r", "a\0", "\xe4", "\u0130", "a\u010a"])("is not %j", (written) => {
    expect(nameOf(written)).toBe(null);
  });

  it("is kept only so often: a flood of names neither grows memory nor harms the usual ones", () => {
    for (let i = 0; i < 5_000; i += 1) {
      expect(nameOf(`X-Flood-${i}`)).toEqual({
        written: `X-Flood-${i}`,
        lower: `x-flood-${i}`,
        kind: ORDINARY,
      });
    }
    expect(nameOf("X-Flood-1")).toBe(nameOf("X-Flood-1"));
    expect(nameOf("X-Flood-4999")).not.toBe(nameOf("X-Flood-4999"));
    expect(nameOf("Content-Length")).toBe(nameOf("Content-Length"));
    const long = "x".repeat(65);
    expect(nameOf(long)).not.toBe(nameOf(long));
  });
});
