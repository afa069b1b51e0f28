// From the configuration as written to the one the services run on: every default filled in, nothing optional
// but what is truly absent. Call it only with a document that `check` accepted.
import type { ConfigDocument, ListenerDocument, Policy, PoolDocument, RouteDocument } from "./schema.ts";

export interface Listener {
  name: string;
  protocol: "http";
  port: number;
  address: string;
}

export interface Route {
  name: string;
  match: { host: string | null; path: string };
  proxy: "static" | "dynamic";
  pool: string;
  /** The bound backend of a static route, null otherwise. */
  backend: string | null;
  timeouts: { responseHeadersMs: number; idleMs: number };
}

export interface Backend {
  id: string;
  /** Origin: scheme, host and port. */
  url: string;
  weight: number;
  zone: string | null;
  maxInflight: number | null;
}

/** How a pool is probed; null where it has no active probes. */
export interface Probing {
  protocol: "http" | "tcp";
  path: string;
  intervalMs: number;
  timeoutMs: number;
}

export interface Pool {
  name: string;
  policy: Policy;
  backends: Backend[];
  probing: Probing | null;
  rise: number;
  fall: number;
  ejectMs: number;
  connectTimeoutMs: number;
}

export interface Config {
  listeners: Listener[];
  routes: Route[];
  pools: Pool[];
  debugHeaders: boolean;
  trustedProxies: string[];
}

export function resolveConfig(document: ConfigDocument): Config {
  return {
    listeners: document.listeners.map(resolveListener),
    routes: document.routes.map(resolveRoute),
    pools: document.pools.map(resolvePool),
    debugHeaders: document.debugHeaders ?? false,
    trustedProxies: document.trustedProxies ?? [],
  };
}

const resolveListener = (listener: ListenerDocument): Listener => ({ address: "0.0.0.0", ...listener });

const resolveRoute = (route: RouteDocument): Route => ({
  name: route.name,
  match: { host: route.match.host?.toLowerCase() ?? null, path: route.match.path ?? "/*" },
  proxy: route.proxy,
  pool: route.pool,
  backend: route.backend ?? null,
  timeouts: { responseHeadersMs: 30_000, idleMs: 60_000, ...route.timeouts },
});

export const resolvePool = (pool: PoolDocument): Pool => ({
  name: pool.name,
  policy: pool.policy ?? "least-connections",
  backends: pool.backends.map((backend) => ({
    id: backend.id,
    url: new URL(backend.url).origin,
    weight: backend.weight ?? 1,
    zone: backend.zone ?? null,
    maxInflight: backend.maxInflight ?? null,
  })),
  probing: pool.health
    ? {
        protocol: pool.health.protocol,
        path: pool.health.path ?? "/",
        intervalMs: pool.health.intervalMs ?? 2_000,
        timeoutMs: pool.health.timeoutMs ?? 1_000,
      }
    : null,
  rise: pool.health?.rise ?? 2,
  fall: pool.health?.fall ?? 3,
  ejectMs: pool.ejectMs ?? 10_000,
  connectTimeoutMs: pool.connectTimeoutMs ?? 2_000,
});
