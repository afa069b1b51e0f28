import { resolvePool } from "@evenkeel/core/config/resolve.ts";
import type { HashKey } from "@evenkeel/core/config/resolve-scheduling.ts";
import { MAX_RANKED } from "@evenkeel/core/ledger/ledger.ts";
import { describe, expect, it } from "vitest";
import type { Arrival } from "../proxy/arrival.ts";
import type { Target } from "../routing/target.ts";
import { fieldsFrom } from "../test-support/fields.ts";
import { keyOf, rankingOf } from "./hash-key.ts";

const key = (key: HashKey["key"], name: string, url: string, headers: Record<string, string> = {}) => {
  const [path = ""] = url.split("?");
  const target: Target = { host: "h", authority: "h", path, forwarded: url };
  const head = { fields: fieldsFrom(headers) } as Arrival["head"];
  return keyOf({ key, name })?.({ head, target });
};

const backends = (priorities: number[]) =>
  resolvePool({
    name: "p",
    backends: priorities.map((priority, i) => ({
      id: `t${priority}-${i}`,
      url: `http://127.0.0.1:${9_000 + i}`,
      priority,
    })),
  }).backends;

describe("the key of a request", () => {
  it("is a header's, cookie's or query parameter's value, or the path", () => {
    expect(key("header", "x-user", "/", { "x-user": "ann" })).toBe("ann");
    expect(key("cookie", "sid", "/", { cookie: "a=1; sid=s7" })).toBe("s7");
    expect(key("path", "", "/a/b?c=d")).toBe("/a/b");
    expect(key("query", "user", "/a?usernot=1&user=ann%20b&user=2")).toBe("ann%20b");
  });

  it("is missing where the value is missing or empty", () => {
    expect(key("header", "x-user", "/")).toBeNull();
    expect(key("header", "x-user", "/", { "x-user": "" })).toBeNull();
    expect(key("cookie", "sid", "/", { cookie: "sid=" })).toBeNull();
    expect(key("query", "user", "/a")).toBeNull();
    expect(key("query", "user", "/a?user")).toBeNull();
    expect(key("query", "user", "/a?user=&x=1")).toBeNull();
  });

  it.each(["constructor", "tostring", "toString", "__proto__"])("is missing where nobody sent %s", (name) => {
    expect(key("header", name, "/")).toBeNull();
    expect(key("cookie", name, "/", { cookie: "a=1" })).toBeNull();
    expect(key("query", name, "/a?b=1")).toBeNull();
  });

  it("is the client's address where that is asked for", () => {
    expect(keyOf({ key: "address", name: "" })).toBeNull();
  });
});

describe("the order of backends for a key", () => {
  it("is the same for all who have the same configuration, and differs between keys", () => {
    const [one, other] = [
      rankingOf(backends([0, 0, 0, 0, 0])),
      rankingOf(backends([0, 0, 0, 0, 0]).reverse()),
    ];
    const keys = Array.from({ length: 50 }, (_, i) => `key ${i}`);
    for (const key of keys) expect(one(key)).toEqual(other(key));
    expect(new Set(keys.map((key) => one(key)[0])).size).toBe(5);
  });

  it("has the first tier in front, and leaves places for those that take over", () => {
    const rank = rankingOf(backends([...new Array(20).fill(0), ...new Array(20).fill(1), 3, 3, 3]));
    const tiers = rank("key").map((id) => id.split("-")[0]);
    expect(tiers).toEqual(["t0", "t0", "t0", "t0", "t1", "t1", "t3", "t3"]);
  });

  it("is never longer than the ledger takes, with however many tiers", () => {
    const many = Array.from({ length: 40 }, (_, i) => i % 10);
    const ranked = rankingOf(backends(many))("key");
    expect(ranked).toHaveLength(MAX_RANKED);
    expect(ranked.map((id) => id.slice(0, 2))).toEqual(["t0", "t0", "t1", "t1", "t2", "t2", "t3", "t3"]);
  });
});
