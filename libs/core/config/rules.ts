// What a schema cannot say: how the parts of a configuration belong together. A table of small pure rules, each
// answering every fault of its kind. They run on a document that may be faulty elsewhere, so anything may be absent.
import {
  addressFault,
  canonicalAddress,
  cidrFault,
  hostFault,
  originFault,
  pathFault,
  requestTargetFault,
} from "./patterns.ts";
import { pointer } from "./problem.ts";
import { checked, type Draft, entries, type Part, type Rule, repeated } from "./rule.ts";
import { ACCESS_RULES } from "./rules-access.ts";
import { GEOGRAPHY_RULES } from "./rules-geography.ts";
import { LISTENER_RULES } from "./rules-listeners.ts";
import { RESILIENCE_RULES } from "./rules-resilience.ts";
import { ROUTING_RULES } from "./rules-routing.ts";
import { SCHEDULING_RULES } from "./rules-scheduling.ts";
import { STREAM_RULES } from "./rules-streams.ts";
import { didYouMean } from "./suggest.ts";

export const RULES: Record<string, Rule> = {
  uniqueNames,
  uniqueBackends,
  routesLeadSomewhere,
  uniqueMatches,
  listenersDoNotOverlap,
  backendUrls,
  routePatterns,
  addresses,
  probes,
  ...LISTENER_RULES,
  ...STREAM_RULES,
  ...ROUTING_RULES,
  ...ACCESS_RULES,
  ...RESILIENCE_RULES,
  ...SCHEDULING_RULES,
  ...GEOGRAPHY_RULES,
};

function* uniqueNames({ listeners, routes, pools }: Draft) {
  for (const [kind, parts] of Object.entries({ listeners, routes, pools })) {
    yield* repeated(
      parts ?? [],
      (part) => part.name,
      (i) => pointer(kind, i, "name"),
      "name",
    );
  }
}

function* uniqueBackends({ pools }: Draft) {
  for (const [p, pool] of entries(pools)) {
    const place = (key: string) => (i: number) => pointer("pools", p, "backends", i, key);
    yield* repeated(pool.backends ?? [], (backend) => backend.id, place("id"), "id");
    yield* repeated(pool.backends ?? [], (backend) => originOf(backend.url), place("url"), "url");
  }
}

const originOf = (url: string | undefined): string | undefined =>
  url === undefined || originFault(url) !== null ? undefined : new URL(url).origin;

function* routesLeadSomewhere({ routes, pools }: Draft) {
  const byName = new Map<string, KnownPool>();
  for (const [, { name, backends }] of entries(pools)) {
    if (name !== undefined)
      byName.set(name, { name, ids: backends && new Set(backends.map((one) => one?.id)) });
  }
  const allKnown = pools?.every((pool) => pool?.name !== undefined) ?? false;
  for (const [r, route] of entries(routes)) {
    const place = (key: string) => pointer("routes", r, key);
    const pool = route.pool === undefined ? undefined : byName.get(route.pool);
    if (allKnown && route.pool !== undefined && !pool) {
      const message = `there is no pool "${route.pool}"${didYouMean(route.pool, [...byName.keys()])}`;
      yield { path: place("pool"), message };
    }
    const message = backendFault(route, pool);
    if (message !== null) yield { path: place("backend"), message };
  }
}

interface KnownPool {
  name: string;
  /** Undefined stands for those that could not be read. */
  ids: Set<string | undefined> | undefined;
}

function backendFault(route: Part<"routes">, pool: KnownPool | undefined): string | null {
  const { proxy, backend } = route;
  if (proxy === "dynamic") {
    return backend === undefined
      ? null
      : "only a static route has a backend; a dynamic one is scheduled over the pool";
  }
  if (proxy !== "static") return null;
  if (!("backend" in route)) return 'key "backend" is missing: a static route is bound to one backend';
  if (backend === undefined || !pool?.ids) return null;
  if (pool.ids.has(backend) || pool.ids.has(undefined)) return null;
  return `pool "${pool.name}" has no backend "${backend}"${didYouMean(backend, [...pool.ids] as string[])}`;
}

function* uniqueMatches({ routes }: Draft) {
  const match = (route: Part<"routes">) => {
    if (!route.match) return undefined;
    const { host, path = "/*" } = route.match;
    if (Object.values(route.match).includes(undefined)) return undefined;
    return `${host?.toLowerCase() ?? "any host"} ${path}`;
  };
  yield* repeated(routes ?? [], match, (i) => pointer("routes", i, "match"), "match");
}

function* listenersDoNotOverlap({ listeners }: Draft) {
  const seen: { i: number; port: number; address: string }[] = [];
  for (const [i, { port, address: written = "0.0.0.0" }] of entries(listeners)) {
    const address = canonicalAddress(written);
    if (port === undefined || port === 0 || address === null) continue;
    const other = seen.find((one) => one.port === port && addressesOverlap(one.address, address));
    if (other) {
      const where = `${other.address} port ${port} of ${pointer("listeners", other.i)}`;
      yield { path: pointer("listeners", i, "port"), message: `overlaps with ${where}` };
    }
    seen.push({ i, port, address });
  }
}

/** A socket bound to :: takes IPv4 connections too. */
function addressesOverlap(a: string, b: string): boolean {
  if (a === b || a === "::" || b === "::") return true;
  return (a === "0.0.0.0" && !b.includes(":")) || (b === "0.0.0.0" && !a.includes(":"));
}

function* backendUrls({ pools }: Draft) {
  for (const [p, pool] of entries(pools)) {
    for (const [b, backend] of entries(pool.backends)) {
      yield* checked(backend.url, originFault, pointer("pools", p, "backends", b, "url"));
    }
  }
}

function* routePatterns({ routes }: Draft) {
  for (const [r, route] of entries(routes)) {
    yield* checked(route.match?.host, hostFault, pointer("routes", r, "match", "host"));
    yield* checked(route.match?.path, pathFault, pointer("routes", r, "match", "path"));
  }
}

function* addresses({ listeners, trustedProxies }: Draft) {
  for (const [l, listener] of entries(listeners)) {
    yield* checked(listener.address, addressFault, pointer("listeners", l, "address"));
  }
  for (const [t, cidr] of entries(trustedProxies)) {
    yield* checked(cidr, cidrFault, pointer("trustedProxies", t));
  }
}

function* probes({ pools }: Draft) {
  for (const [p, { health }] of entries(pools)) {
    if (!health) continue;
    const place = (key: string) => pointer("pools", p, "health", key);
    if (health.protocol === "tcp" && health.path !== undefined) {
      yield { path: place("path"), message: "a tcp probe only connects; remove `path` or use protocol http" };
    } else {
      yield* checked(health.path, requestTargetFault, place("path"));
    }
    const { intervalMs = 2_000, timeoutMs = 1_000 } = health;
    if (timeoutMs > intervalMs) {
      const message = `timeoutMs (${timeoutMs}) must not be longer than intervalMs (${intervalMs})`;
      yield { path: place("timeoutMs"), message };
    }
  }
}
