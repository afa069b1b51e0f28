import { describe, expect, it } from "vitest";
import { cookieValue, cookieValues, setsCookie, withoutCookie } from "./cookies.ts";

describe("a cookie", () => {
  it.each([
    ["a=1", "1"],
    ["b=2; a=1", "1"],
    ["b=2;a=1;c=3", "1"],
    ["aa=0; a=x=y", "x=y"],
    ["a=first; a=second", "first"],
    ["a=", ""],
    ["  a = 1 ", "1"],
  ])("is found in %j", (header, value) => {
    expect(cookieValue(header, "a")).toBe(value);
  });

  it.each([undefined, "", "b=a=1", "aa=1; A=2", "a; b=1", ";;;"])("is not found in %j", (header) => {
    expect(cookieValue(header, "a")).toBeNull();
  });

  it("may be there several times, and no more are looked up than asked for", () => {
    expect(cookieValues("a=1; b=2; a=3;a=4", "a", 2)).toEqual(["1", "3"]);
    expect(cookieValues("a=1; b=2; a=3;a=4", "a", 9)).toEqual(["1", "3", "4"]);
    expect(cookieValues(undefined, "a", 9)).toEqual([]);
  });

  it.each(["a=1; Path=/", "a=", " a = 1", "a", "a; Max-Age=0"])("is set by %j", (value) => {
    expect(setsCookie(value, "a")).toBe(true);
  });

  it.each(["aa=1", "A=1", "b=a=1", "b=1; a=2", ""])("is not set by %j", (value) => {
    expect(setsCookie(value, "a")).toBe(false);
  });

  it("is taken out, and the others stay as they were", () => {
    expect(withoutCookie("b=2; a=1; c=x=y", "a")).toBe("b=2; c=x=y");
    expect(withoutCookie("a=1; b=2", "a")).toBe("b=2");
    expect(withoutCookie("a=1;a=2; aa=3", "a")).toBe("aa=3");
    expect(withoutCookie("b=2", "a")).toBe("b=2");
    expect(withoutCookie("a=1", "a")).toBeNull();
  });
});
