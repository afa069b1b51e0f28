import { describe, expect, test } from "vitest";
import { MAX_PROBLEMS, validateConfig } from "./validate.ts";

const listener = { name: "web", protocol: "http", port: 8080 };
const pool = (name: string, ...urls: string[]) => ({
  name,
  backends: urls.map((url, i) => ({ id: `b${i}`, url })),
});
const route = (name: string, match: object, pool: string) => ({ name, match, proxy: "dynamic", pool });

const faults = (value: unknown) => {
  const result = validateConfig(value);
  return result.ok ? [] : result.problems;
};

describe("validateConfig", () => {
  test.each([
    ["a dynamic route to a pool without backends", { pools: [pool("a")], routes: [route("r", {}, "a")] }],
    ["the same backend in two pools", { pools: [pool("a", "http://h:1"), pool("b", "http://h:1")] }],
    ["a backend without port", { pools: [pool("a", "http://shop.internal")] }],
    ["a backend on IPv6", { pools: [pool("a", "http://[fd00::1]:80")] }],
    [
      "two listeners whose port the system chooses",
      {
        listeners: [
          { ...listener, port: 0 },
          { ...listener, name: "b", port: 0 },
        ],
      },
    ],
    [
      "one port on two addresses",
      {
        listeners: [
          { ...listener, address: "127.0.0.1" },
          { ...listener, name: "b", address: "127.0.0.2" },
        ],
      },
    ],
    [
      "one path on two hosts, and on any",
      {
        pools: [pool("a")],
        routes: [
          route("r", { host: "a.example.com" }, "a"),
          route("s", { host: "b.example.com" }, "a"),
          route("t", {}, "a"),
        ],
      },
    ],
    [
      "a prefix and its exact twin",
      { pools: [pool("a")], routes: [route("r", { path: "/x" }, "a"), route("s", { path: "/x/*" }, "a")] },
    ],
  ])("accepts %s", (_, parts) => {
    expect(faults({ listeners: [listener], routes: [], pools: [], ...parts })).toEqual([]);
  });

  test.each([null, 1, "x", [], undefined])("refuses %j as a whole", (value) => {
    expect(faults(value)).toMatchObject([
      { path: "", message: expect.stringContaining("must be a mapping") },
    ]);
  });

  test("does not say that a pool is missing when a pool's name could not be read", () => {
    const problems = faults({
      listeners: [listener],
      routes: [route("r", {}, "a")],
      pools: [{ name: 7, backends: [] }],
    });
    expect(problems.map(({ path }) => path)).toEqual(["/pools/0/name"]);
  });

  test("does not take a match for another when a part of it could not be read", () => {
    const routes = [route("r", {}, "a"), route("s", { path: 7 }, "a"), route("t", { host: 7 }, "a")];
    const problems = faults({ listeners: [listener], routes, pools: [pool("a")] });
    expect(problems.map(({ path }) => path)).toEqual(["/routes/1/match/path", "/routes/2/match/host"]);
  });

  test("treats an IPv6 wildcard as overlapping with IPv4, and spellings of one address as equal", () => {
    const on = (...addresses: string[]) =>
      faults({
        listeners: addresses.map((address, i) => ({ ...listener, name: `l${i}`, address })),
        routes: [],
        pools: [],
      }).map(({ path }) => path);
    expect(on("::", "127.0.0.1")).toEqual(["/listeners/1/port"]);
    expect(on("::1", "0:0:0:0:0:0:0:1")).toEqual(["/listeners/1/port"]);
    expect(on("0.0.0.0", "::1")).toEqual([]);
  });

  test("escapes keys in paths", () => {
    const problems = faults({ listeners: [listener], routes: [], pools: [], "a/b~c": 1 });
    expect(problems.map(({ path }) => path)).toEqual(["/a~1b~0c"]);
  });

  test.each([
    ["the schema", { ...listener, port: "80" }],
    ["the rules", { ...listener, address: "nowhere", port: 0 }],
  ])("reports a bounded number of faults of %s and says that there are more", (_, faulty) => {
    const listeners = Array.from({ length: 60 }, (_, i) => ({ ...faulty, name: `l${i}` }));
    const trustedProxies = Array.from({ length: 60 }, () => (typeof faulty.port === "string" ? 1 : "x"));
    const problems = faults({ listeners, routes: [], pools: [], trustedProxies });
    expect(problems).toHaveLength(MAX_PROBLEMS + 1);
    expect(problems.at(-1)?.message).toContain("and more");
  });

  test("answers even when nearly everything is wrong", () => {
    const pools = Array.from({ length: 900 }, () => ({ name: 1, policy: 2, backends: [{}] }));
    expect(faults({ listeners: [listener], routes: [], pools })).toHaveLength(MAX_PROBLEMS + 1);
  });
});
