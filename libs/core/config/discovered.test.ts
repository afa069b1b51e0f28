import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Discovered,
  inOrder,
  mergeDiscovered,
  SOURCES,
  unfitness,
  withDiscovered,
} from "./discovered.ts";
import { resolveConfig } from "./resolve.ts";
import { type BackendDocument, type ConfigDocument, LIMITS, type PoolDocument } from "./schema.ts";
import { validateConfig } from "./validate.ts";

const CONFIGURED: BackendDocument = { id: "shop-1", url: "http://10.0.0.1:80" };
const POOL: PoolDocument = {
  name: "shop",
  backends: [CONFIGURED],
  discovery: {
    ...{ file: { path: "x" }, dns: { name: "shop.internal", port: 80 }, docker: {} },
    ...{ registration: { allow: ["10.0.0.0/8"] }, defaults: { weight: 4, zone: "eu" } },
  },
};

const document = (pool: Partial<PoolDocument> = {}, more: Partial<ConfigDocument> = {}): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port: 8080 }],
  routes: [],
  pools: [
    { ...POOL, ...pool },
    { name: "fixed", backends: [] },
  ],
  ...more,
});

const backend = (id: string, host: string, more: Partial<BackendDocument> = {}): BackendDocument => ({
  id,
  url: `http://${host}:80`,
  ...more,
});

const idsOf = ({ pools }: ConfigDocument) => pools[0]?.backends.map(({ id }) => id);

describe("a configuration with what was found", () => {
  it("has the found backends after the configured ones, with the pool's defaults where their source says nothing", () => {
    const found = {
      shop: { file: [backend("f", "10.0.1.1", { weight: 9 })], dns: [backend("d", "10.0.1.2")] },
    };
    const { pools } = withDiscovered(document(), found);
    expect(pools[0]?.backends).toEqual([
      CONFIGURED,
      backend("f", "10.0.1.1", { weight: 9, zone: "eu" }),
      backend("d", "10.0.1.2", { weight: 4, zone: "eu" }),
    ]);
  });

  it("is the same object where nothing was found, and leaves what was written as it was", () => {
    const written = document();
    const before = structuredClone(written);
    expect(withDiscovered(written, {})).toBe(written);
    expect(withDiscovered(written, { ghost: { file: [backend("f", "10.0.1.1")] } })).toBe(written);
    withDiscovered(written, { shop: { file: [backend("f", "10.0.1.1")] } });
    expect(written).toEqual(before);
  });

  it("loses what sources found that the pool no longer has", () => {
    const found = { shop: { file: [backend("f", "10.0.1.1")], dns: [backend("d", "10.0.1.2")] } };
    expect(idsOf(withDiscovered(document({ discovery: { dns: { name: "x", port: 1 } } }), found))).toEqual([
      "shop-1",
      "d",
    ]);
    const { discovery: _, ...without } = POOL;
    const none = { ...document(), pools: [without] };
    expect(withDiscovered(none, found)).toBe(none);
  });

  it("keeps the first of those with the same id or address: the configured one, then by source", () => {
    const found = {
      shop: {
        registration: [backend("r", "10.0.1.1"), backend("f", "10.0.1.9"), backend("shop-1", "10.0.1.8")],
        file: [backend("f", "10.0.1.1"), backend("x", "10.0.0.1")],
      },
    };
    const { document: merged, leftOut } = mergeDiscovered(document(), found);
    expect(idsOf(merged)).toEqual(["shop-1", "f"]);
    expect(leftOut.map(({ source, id, reason }) => `${source} ${id}: ${reason}`)).toEqual([
      'file x: /url is that of "shop-1"',
      'registration r: /url is that of "f"',
      'registration f: /id "f" is taken',
      'registration shop-1: /id "shop-1" is taken',
    ]);
  });
});

/** Why → pool, backend, rest of the configuration, what is said. */
const UNFIT: [string, Partial<PoolDocument>, BackendDocument, RegExp, Partial<ConfigDocument>?][] = [
  ["no address", {}, { id: "a", url: "10.0.0.1" }, /^\/url must be an origin/],
  ["a weight of 0", {}, backend("a", "10.0.0.2", { weight: 0 }), /^\/weight/],
  ["no limit in a pool of policy first", { policy: "first" }, backend("a", "10.0.0.2"), /^\/maxInflight/],
  [
    "another protocol than the pool's first",
    {},
    { id: "a", url: "tcp://10.0.0.2:80" },
    /^\/url .*http, not tcp/,
  ],
  [
    "another protocol than the pool's settings",
    { backends: [], affinity: {} },
    { id: "a", url: "tcp://10.0.0.2:80" },
    /^\/url .*http, not tcp/,
  ],
  [
    "another protocol than the pool's routes",
    { backends: [] },
    { id: "a", url: "tcp://10.0.0.2:80" },
    /^\/url .*http, not tcp/,
    { routes: [{ name: "r", match: {}, proxy: "dynamic", pool: "shop" }] },
  ],
  [
    "another protocol than the listener of the pool's routes",
    { backends: [] },
    backend("a", "10.0.0.2"),
    /^\/url .*tcp, not http/,
    {
      listeners: [{ name: "db", protocol: "tls", port: 5432 }],
      routes: [{ name: "r", match: { listener: "db" }, proxy: "dynamic", pool: "shop" }],
    },
  ],
  ["no zone where distance counts", { policy: "geo" }, backend("a", "10.0.0.2"), /^\/zone is missing/],
  [
    "an unknown zone where distance counts",
    { policy: "geo" },
    backend("a", "10.0.0.2", { zone: "x" }),
    /^\/zone "x"/,
  ],
  [
    "a zone without distances",
    { policy: "geo" },
    backend("a", "10.0.0.2", { zone: "moon" }),
    /^\/zone "moon"/,
    { geography: { zones: [{ name: "moon" }, { name: "eu", latitude: 1, longitude: 1 }] } },
  ],
];

describe("a backend that cannot join", () => {
  it.each(UNFIT)("because of %s is left out, and why is said", (_why, pool, one, text, more) => {
    const whole = document(pool, more);
    const [target] = whole.pools as [PoolDocument];
    expect(unfitness(target, target.backends, one, whole)).toMatch(text);
    const bare = { ...whole, pools: [{ ...target, discovery: { file: { path: "x" } } }] };
    expect(withDiscovered(bare, { shop: { file: [one] } })).toBe(bare);
  });

  it("is one too many for the pool", () => {
    const others = Array.from({ length: LIMITS.backendsPerPool }, (_, i) =>
      backend(`b${i}`, `10.1.${i >> 8}.${i & 255}`),
    );
    expect(unfitness(POOL, others, backend("one", "10.9.0.1"))).toMatch(/10000 backends already/);
    expect(unfitness(POOL, others.slice(1), backend("one", "10.9.0.1"))).toBeNull();
  });

  it("joins a pool that nothing has been said of", () => {
    const pool = { name: "p", backends: [], discovery: { file: { path: "x" } } };
    expect(unfitness(pool, [], { id: "a", url: "udp://10.0.0.2:53" })).toBeNull();
    expect(unfitness(pool, [{ id: "a", url: "udp://10.0.0.2:53" }], backend("b", "10.0.0.2"))).toMatch(/udp/);
  });
});

describe("whatever stands in Redis", () => {
  const someBackend = fc.oneof(
    fc.anything(),
    fc.record({
      id: fc.oneof(fc.constantFrom("a", "b", "shop-1", "-"), fc.anything()),
      url: fc.oneof(
        fc.constantFrom("http://10.0.0.1:80", "http://10.0.0.2", "tcp://10.0.0.3:1", "x"),
        fc.anything(),
      ),
      weight: fc.oneof(fc.constant(undefined), fc.integer({ min: -1, max: 2 }), fc.anything()),
    }),
  );
  const someFound = fc.oneof(
    fc.anything(),
    fc.dictionary(
      fc.constantFrom("shop", "fixed", "constructor", "__proto__", "ghost"),
      fc.oneof(
        fc.anything(),
        fc.dictionary(fc.constantFrom(...SOURCES, "other"), fc.oneof(fc.array(someBackend), fc.anything())),
      ),
    ),
  );

  it("never makes a configuration invalid, and takes no configured backend away", () => {
    const property = fc.property(someFound, (found) => {
      const holder = typeof found === "object" && found !== null ? found : {};
      const merged = withDiscovered(document(), JSON.parse(JSON.stringify(holder) ?? "{}") as Discovered);
      expect(validateConfig(merged)).toMatchObject({ ok: true });
      expect(merged.pools[0]?.backends[0]).toEqual(CONFIGURED);
      expect(merged.pools[1]?.backends).toEqual([]);
      resolveConfig(merged);
    });
    fc.assert(property, { numRuns: 200, seed: 5 });
  }, 30_000);
});

describe("what was found, in order", () => {
  it("is one text for the same backends, however they came", () => {
    const a = { b: { dns: [backend("y", "10.0.0.2"), backend("x", "10.0.0.1")] }, a: { file: [] } };
    const b = {
      a: { file: [] },
      b: { dns: [{ url: "http://10.0.0.1:80", id: "x" }, backend("y", "10.0.0.2")] },
    };
    expect(JSON.stringify(inOrder(a))).toBe(JSON.stringify(inOrder(b)));
    expect(inOrder(a)).toEqual({
      a: { file: [] },
      b: { dns: [backend("x", "10.0.0.1"), backend("y", "10.0.0.2")] },
    });
  });
});
