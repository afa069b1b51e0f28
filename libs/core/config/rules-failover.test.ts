import { describe, expect, test } from "vitest";
import { validateConfig } from "./validate.ts";

const listeners = [{ name: "web", protocol: "http", port: 8080 }];

const pool = (name: string, failoverTo: string | null, url = `http://${name}`) => ({
  name,
  backends: [{ id: `${name}-1`, url }],
  ...(failoverTo === null ? {} : { failoverTo }),
});

const faults = (pools: object[], routes: object[] = []) => {
  const result = validateConfig({ listeners, routes, pools });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
};

describe("the pool that takes over", () => {
  test("is one of the configuration, at the end of at most four in a row", () => {
    const pools = [
      ...[pool("a", "b"), pool("b", "c"), pool("c", "d"), pool("d", "e"), pool("e", null)],
      ...[pool("x", "e"), pool("y", null)],
    ];
    expect(faults(pools)).toEqual([]);
  });

  test("exists", () => {
    expect(faults([pool("shop", "spares"), pool("spare", null)])).toEqual([
      '/pools/0/failoverTo: there is no pool "spares"; did you mean "spare"?',
    ]);
  });

  test("is not further away than four", () => {
    const pools = [pool("a", "b"), pool("b", "c"), pool("c", "d"), pool("d", "e"), pool("e", "f")];
    expect(faults([...pools, pool("f", null)])).toEqual([
      "/pools/0/failoverTo: a → b → c → d → e → f is too long: at most 4 pools are asked after the first",
    ]);
  });

  test("does not lead back, which is told once", () => {
    expect(faults([pool("a", "a")])).toEqual([
      "/pools/0/failoverTo: a → a goes round in a circle: leave `failoverTo` out of the one that is to be the last",
    ]);
    const pools = [pool("first", "a"), pool("a", "b"), pool("b", "c"), pool("c", "a")];
    expect(faults(pools)).toEqual([
      "/pools/1/failoverTo: a → b → c → a goes round in a circle: leave `failoverTo` out of the one that is to be the last",
    ]);
  });

  test("speaks the same protocol", () => {
    expect(faults([pool("a", "b"), pool("b", null, "tcp://b:1")])).toEqual([
      '/pools/0/failoverTo: the backends of pool "b" are of tcp://, and cannot take requests to such of http:// or https://',
    ]);
    expect(faults([pool("a", "b"), pool("b", null, "https://b")])).toEqual([]);
  });
});

const route = (more: object) => ({ name: "r", match: {}, pool: "p", ...more });
const bound = { proxy: "static", backend: "p-1" };
const two = {
  name: "p",
  backends: [
    { id: "p-1", url: "http://p1" },
    { id: "p-2", url: "http://p2" },
  ],
};

describe("failover of a route", () => {
  test.each<[string, object, object[]]>([
    ["one of several backends", { failover: true }, [two]],
    [
      "the only backend of a pool with another to take over",
      { failover: true },
      [pool("p", "q"), pool("q", null)],
    ],
    ["nobody", { failover: false }, [pool("p", null)]],
  ])("may relieve %s", (_, more, pools) => {
    expect(faults(pools, [route({ ...bound, ...more })])).toEqual([]);
  });

  test("needs somebody to take over", () => {
    expect(faults([pool("p", null)], [route({ ...bound, failover: true })])).toEqual([
      '/routes/0/failover: nobody can take over: pool "p" has one backend, and neither `failoverTo` nor `discovery`',
    ]);
  });

  test("is for static routes", () => {
    expect(faults([two], [route({ proxy: "dynamic", failover: true })])).toEqual([
      "/routes/0/failover: only a static route needs it: the requests of another one go to another backend anyway; remove it",
    ]);
    expect(faults([two], [{ name: "r", match: {}, respond: { status: 204 }, failover: true }])).toEqual([
      "/routes/0/failover: has no meaning beside `respond`: nothing is proxied; remove one of them",
    ]);
  });
});

describe("statuses to ask again for", () => {
  test.each<[string, object]>([
    ["single ones and ranges", { proxy: "dynamic", retryStatuses: ["500", "502-504", "429"] }],
    ["those of a static route that fails over", { ...bound, failover: true, retryStatuses: ["500"] }],
    ["none", { ...bound, retries: 0, retryStatuses: [] }],
  ])("may be %s", (_, more) => {
    expect(faults([two], [route(more)])).toEqual([]);
  });

  test.each<[string, object, string]>([
    [
      "backwards",
      { proxy: "dynamic", retryStatuses: ["504-502"] },
      "/0: 504 is more than 502: write 502-504",
    ],
    [
      "of interim answers",
      { proxy: "dynamic", retryStatuses: ["100-199"] },
      "/0: answers below 200 are not the last word: what follows them is; name those of 200 and more",
    ],
    [
      "without retries",
      { proxy: "dynamic", retries: 0, retryStatuses: ["503"] },
      ": nothing is repeated with `retries: 0`; raise it, or remove one of them",
    ],
    [
      "on a static route",
      { ...bound, retryStatuses: ["503"] },
      ": a static route has nowhere else to ask; set `failover: true`, another proxy, or remove it",
    ],
  ])("are not %s", (_, more, fault) => {
    expect(faults([two], [route(more)])).toEqual([`/routes/0/retryStatuses${fault}`]);
  });

  test("have no meaning for connections", () => {
    const result = validateConfig({
      listeners: [{ name: "l", protocol: "tcp", port: 9000 }],
      routes: [{ name: "r", match: { listener: "l" }, proxy: "dynamic", pool: "p", retryStatuses: ["503"] }],
      pools: [pool("p", null, "tcp://p:1")],
    });
    expect(result).toMatchObject({ problems: [{ path: "/routes/0/retryStatuses" }] });
  });
});
