import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { describe, expect, it } from "vitest";
import type { Fields } from "../messages/fields.ts";
import { proxiedRouteOf } from "../test-support/routes.ts";
import { compileHeaderRules } from "./header-rules.ts";

type Rules = NonNullable<NonNullable<RouteDocument["headers"]>["request"]>;

const compile = (request: Rules) =>
  compileHeaderRules(proxiedRouteOf({ headers: { request } }).requestHeaders);

const fieldsOf = (...lines: string[]): Fields =>
  lines.flatMap((line) => {
    const [name = "", value = ""] = line.split(": ");
    return [name, name.toLowerCase(), value];
  });

const GIVEN = fieldsOf("Accept: a", "X-One: 1", "x-one: 2", "X-Two: 3");

describe("header rules", () => {
  it.each<[string, Rules, Fields]>([
    [
      "set one in place of all of its name",
      { set: { "X-ONE": "9" } },
      fieldsOf("Accept: a", "X-Two: 3", "X-ONE: 9"),
    ],
    ["set one that was not there", { set: { "x-new": "" } }, [...GIVEN, ...fieldsOf("x-new: ")]],
    ["add beside what there is", { add: { "x-one": "9" } }, [...GIVEN, ...fieldsOf("x-one: 9")]],
    ["remove all of a name", { remove: ["X-One"] }, fieldsOf("Accept: a", "X-Two: 3")],
    ["remove what is not there", { remove: ["x-none"] }, GIVEN],
    [
      "remove first, then set and add",
      { remove: ["x-one"], set: { "X-Two": "9" }, add: { "X-One": "8" } },
      fieldsOf("Accept: a", "X-Two: 9", "X-One: 8"),
    ],
  ])("%s", (_, rules, expected) => {
    const given = [...GIVEN];
    expect(compile(rules)?.(given)).toEqual(expected);
    expect(given).toEqual(GIVEN);
  });

  it("are not there when they change nothing", () => {
    expect(compileHeaderRules(null)).toBeNull();
    expect(compile({ set: {}, add: {} })).toBeNull();
  });
});
