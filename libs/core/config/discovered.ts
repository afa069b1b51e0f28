// Backends that were found at run time, beside those that the configuration names: kept apart from what an operator
// wrote, and put together with it for whoever runs on it. One place, so that all services see the same pools. What was
// found is open to whoever can reach Redis, so nothing is taken for granted of it.
import { Compile } from "typebox/compile";
import { type BackendFamily, backendFamily, backendOrigin } from "./backend-url.ts";
import { type DistanceTable, distanceTable } from "./geography.ts";
import { originFault } from "./patterns.ts";
import { reckonsDistance } from "./resolve-scheduling.ts";
import { protocolsOf } from "./rules-matching.ts";
import {
  type BackendDocument,
  BackendSchema,
  type ConfigDocument,
  LIMITS,
  type PoolDocument,
  type RouteDocument,
} from "./schema.ts";

export const SOURCES = ["file", "dns", "docker", "registration"] as const;
export type Source = (typeof SOURCES)[number];

/** Pool → what each source found there last. */
export type Discovered = Record<string, Partial<Record<Source, BackendDocument[]>>>;

/** What was found, but cannot be used. */
export interface LeftOut {
  pool: string;
  source: Source;
  /** "" where there is not even that. */
  id: string;
  reason: string;
}

const compiled = Compile(BackendSchema);

/** The configuration to run on: its pools with what was found for them. What does not fit is left out. */
export const withDiscovered = (document: ConfigDocument, discovered: Discovered): ConfigDocument =>
  mergeDiscovered(document, discovered).document;

/** As `withDiscovered`, and what was left out. @param document a valid one @param discovered anything */
export function mergeDiscovered(
  document: ConfigDocument,
  discovered: Discovered,
): { document: ConfigDocument; leftOut: LeftOut[] } {
  const leftOut: LeftOut[] = [];
  const joins = joinsOf(document);
  const pools = document.pools.map((pool) => withFound(pool, own(discovered, pool.name), joins, leftOut));
  const same = pools.every((pool, i) => pool === document.pools[i]);
  return { document: same ? document : { ...document, pools }, leftOut };
}

function withFound(
  pool: PoolDocument,
  found: unknown,
  joins: (pool: PoolDocument) => Join,
  leftOut: LeftOut[],
): PoolDocument {
  if (!pool.discovery || typeof found !== "object" || found === null) return pool;
  const join = joins(pool);
  const backends = [...pool.backends];
  for (const source of SOURCES) {
    if (pool.discovery[source] === undefined) continue;
    for (const backend of listed(own(found, source))) {
      const whole = { ...pool.discovery.defaults, ...(backend as BackendDocument) };
      const reason = join(whole);
      if (reason === null) backends.push(whole);
      else if (leftOut.length < LIMITS.backendsPerPool)
        leftOut.push({ pool: pool.name, source, id: idOf(backend), reason });
    }
  }
  return backends.length === pool.backends.length ? pool : { ...pool, backends };
}

const own = (holder: object, key: string): unknown =>
  Object.hasOwn(holder, key) ? (holder as Record<string, unknown>)[key] : undefined;

const listed = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function idOf(backend: unknown): string {
  const { id } = (backend ?? {}) as { id?: unknown };
  return typeof id === "string" ? id : "";
}

/**
 * Why a backend cannot join the pool; null: it can.
 * @param others that the pool has by then
 * @param document what the pool is part of: its routes and zones have a say too
 */
export function unfitness(
  pool: PoolDocument,
  others: readonly BackendDocument[],
  backend: BackendDocument,
  document: ConfigDocument = { listeners: [], routes: [], pools: [pool] },
): string | null {
  return joinsOf(document)({ ...pool, backends: [...others] })(backend);
}

/** Takes a backend into the pool, or says why it cannot be. */
type Join = (backend: unknown) => string | null;

/** For the pools of a document; each begins with the backends that it names itself. */
function joinsOf(document: ConfigDocument): (pool: PoolDocument) => Join {
  let routed: ReadonlyMap<string, BackendFamily> | null = null;
  const familyOf = (pool: PoolDocument): BackendFamily | null => {
    const [first] = pool.backends;
    if (first) return backendFamily(first.url);
    routed ??= familiesOfRoutes(document);
    return familyOfSettings(pool) ?? routed.get(pool.name) ?? null;
  };
  const placed = zonesWithin(document);
  return (pool) => {
    const ids = new Set(pool.backends.map(({ id }) => id));
    const origins = new Map(pool.backends.map(({ id, url }) => [backendOrigin(url), id]));
    let family = familyOf(pool);
    const located = reckonsDistance(pool);
    return (backend) => {
      if (!compiled.Check(backend)) return formFault(backend);
      const { id, url, zone, maxInflight } = backend;
      const fault = originFault(url);
      if (fault !== null) return `/url ${fault}`;
      if (ids.size >= LIMITS.backendsPerPool)
        return `the pool has ${LIMITS.backendsPerPool} backends already`;
      if (pool.policy === "first" && maxInflight === undefined)
        return "/maxInflight is missing: with policy first, those after it would never serve";
      if (located && zone === undefined)
        return "/zone is missing: the pool's policy needs to know where it stands";
      if (located && !placed(zone as string))
        return `/zone "${zone}" is none of \`geography\`, or not at a known distance from all others`;
      const its = backendFamily(url);
      if (family !== null && its !== family) return `/url the pool serves ${family}, not ${its}`;
      if (ids.has(id)) return `/id "${id}" is taken`;
      const origin = backendOrigin(url);
      if (origins.has(origin)) return `/url is that of "${origins.get(origin)}"`;
      family = its;
      ids.add(id);
      origins.set(origin, id);
      return null;
    };
  };
}

/** Whether a zone is one that requests from any other can be sent to. Distances are reckoned only where they matter. */
function zonesWithin({ geography }: ConfigDocument): (zone: string) => boolean {
  let table: DistanceTable | null = null;
  return (zone) => {
    table ??= geography ? distanceTable(geography) : new Map();
    return table.has(zone) && table.values().every((row) => row.has(zone));
  };
}

function formFault(backend: unknown): string {
  const [fault] = compiled.Errors(backend);
  return fault ? `${fault.instancePath} ${fault.message}`.trim() : "is not a backend";
}

/** Each has a meaning for HTTP only. */
const HTTP_SETTINGS = ["http", "tls", "idleConnectionMs", "hedge", "affinity"] as const;

const familyOfSettings = (pool: PoolDocument): BackendFamily | null =>
  HTTP_SETTINGS.some((setting) => pool[setting] !== undefined) ? "http" : null;

/** What the routes that lead to a pool speak. */
function familiesOfRoutes(document: ConfigDocument): Map<string, BackendFamily> {
  const protocolOf = protocolsOf(document);
  const families = new Map<string, BackendFamily>();
  for (const route of document.routes) {
    const protocol = protocolOf(route);
    if (protocol === null) continue;
    for (const pool of poolsOf(route)) families.set(pool, protocol === "tls" ? "tcp" : protocol);
  }
  return families;
}

const poolsOf = ({ pool, split, mirror }: RouteDocument): string[] =>
  [pool, ...(split?.pools ?? []).map((part) => part.pool), mirror?.pool].filter((name) => name !== undefined);

const FIELDS = Object.keys(BackendSchema.properties);
const byField = ([a]: [string, unknown], [b]: [string, unknown]) => FIELDS.indexOf(a) - FIELDS.indexOf(b);

/** One spelling for what was found, so that the same found again is no change. Sources that found nothing say so. */
export function inOrder(discovered: Discovered): Discovered {
  const pools = Object.entries(discovered).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    pools.map(([pool, found]) => {
      const sources = SOURCES.filter((source) => found[source] !== undefined);
      return [pool, Object.fromEntries(sources.map((source) => [source, byId(found[source] ?? [])]))];
    }),
  );
}

const byId = (backends: readonly BackendDocument[]): BackendDocument[] =>
  backends
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((backend) => Object.fromEntries(Object.entries(backend).toSorted(byField)) as BackendDocument);
