// From the configuration as written to the one the services run on: every default filled in, nothing optional
// but what is truly absent. Call it only with a document that `check` accepted.
import { backendOrigin } from "./backend-url.ts";
import { type DistanceTable, distanceTable } from "./geography.ts";
import { type RouteAccess, resolveAccess } from "./resolve-access.ts";
import {
  type Discovery,
  type Notification,
  resolveDiscovery,
  resolveNotifications,
} from "./resolve-discovery.ts";
import { type PoolHealth, resolveHealth } from "./resolve-health.ts";
import { type ListenerHttp, resolveListenerHttp } from "./resolve-listeners.ts";
import {
  type PoolUpstream,
  type Protection,
  type RouteResilience,
  resolveProtection,
  resolveResilience,
  resolveUpstream,
} from "./resolve-resilience.ts";
import { type AnsweredRouting, type ProxiedRouting, resolveRouting } from "./resolve-routing.ts";
import { type PoolScheduling, resolveScheduling } from "./resolve-scheduling.ts";
import { type ListenerStreams, resolveListenerStreams } from "./resolve-streams.ts";
import {
  type ConfigDocument,
  type GeographyDocument,
  LIMITS,
  type ListenerDocument,
  type PoolDocument,
  type RouteDocument,
} from "./schema.ts";

export type { Probing } from "./resolve-health.ts";

export interface Listener extends ListenerHttp, ListenerStreams {
  name: string;
  protocol: ListenerDocument["protocol"];
  port: number;
  address: string;
}

interface RouteBasis extends RouteResilience, RouteAccess {
  name: string;
}

/** A route to backends. */
export type ProxiedRoute = RouteBasis & ProxiedRouting;
/** A route that is answered by the gateway itself. */
export type AnsweredRoute = RouteBasis & AnsweredRouting;
/** Told apart by `reply`, or `proxy`: null is the one that it is not. */
export type Route = ProxiedRoute | AnsweredRoute;

export interface Backend {
  id: string;
  /** Origin: scheme, host and port. */
  url: string;
  weight: number;
  zone: string | null;
  maxInflight: number | null;
  slots: number | null;
  /** Tier: 0 goes first. */
  priority: number;
  cost: number;
}

export interface Pool extends PoolScheduling, PoolHealth, PoolUpstream {
  name: string;
  /** With those that were found at run time. */
  backends: Backend[];
  discovery: Discovery | null;
  /** Takes its requests while too few of its backends are healthy. */
  failoverTo: string | null;
}

/** Where requests come from. */
export interface Geography {
  zones: { name: string; latitude: number | null; longitude: number | null }[];
  /** Lower case; null: no header names a client's zone. */
  header: string | null;
  networks: { cidr: string; zone: string }[];
  maxmind: string | null;
}

export interface Config extends Protection {
  listeners: Listener[];
  routes: Route[];
  pools: Pool[];
  geography: Geography;
  notifications: Notification[];
  /** Processes of each gateway. */
  workers: number;
  debugHeaders: boolean;
  trustedProxies: string[];
}

export function resolveConfig(document: ConfigDocument): Config {
  const distances = distancesOf(document.geography);
  return {
    listeners: document.listeners.map(resolveListener),
    routes: document.routes.map(resolveRoute),
    pools: document.pools.map((pool) => resolved(pool, distances)),
    geography: resolveGeography(document.geography),
    notifications: resolveNotifications(document),
    ...resolveProtection(document),
    workers: document.workers ?? 1,
    debugHeaders: document.debugHeaders ?? false,
    trustedProxies: document.trustedProxies ?? [],
  };
}

const resolveListener = (listener: ListenerDocument): Listener => ({
  name: listener.name,
  protocol: listener.protocol,
  port: listener.port,
  address: listener.address ?? "0.0.0.0",
  ...resolveListenerHttp(listener),
  ...resolveListenerStreams(listener),
});

const resolveRoute = (route: RouteDocument): Route => ({
  name: route.name,
  ...resolveRouting(route),
  ...resolveAccess(route),
  ...resolveResilience(route),
});

const resolveGeography = (geography: GeographyDocument | undefined): Geography => ({
  zones: (geography?.zones ?? []).map(({ name, latitude = null, longitude = null }) => ({
    name,
    latitude,
    longitude,
  })),
  header: geography?.clients?.header?.toLowerCase() ?? null,
  networks: geography?.clients?.networks ?? [],
  maxmind: geography?.clients?.maxmind ?? null,
});

const distancesOf = (geography: GeographyDocument | undefined): DistanceTable =>
  geography ? distanceTable(geography) : new Map();

/** One pool by itself. @param geography of its configuration, for policies that reckon with distance */
export const resolvePool = (pool: PoolDocument, geography?: GeographyDocument): Pool =>
  resolved(pool, distancesOf(geography));

const resolved = (pool: PoolDocument, distances: DistanceTable): Pool => ({
  name: pool.name,
  ...resolveScheduling(pool, distances),
  backends: pool.backends.map((backend) => ({
    id: backend.id,
    url: backendOrigin(backend.url),
    weight: backend.weight ?? Math.min(backend.slots ?? 1, LIMITS.weight),
    zone: backend.zone ?? null,
    maxInflight: backend.maxInflight ?? null,
    slots: backend.slots ?? null,
    priority: backend.priority ?? 0,
    cost: backend.cost ?? 0,
  })),
  discovery: resolveDiscovery(pool),
  failoverTo: pool.failoverTo ?? null,
  ...resolveHealth(pool),
  ...resolveUpstream(pool),
});
