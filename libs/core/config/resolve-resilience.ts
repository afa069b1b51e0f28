// What happens when things go wrong, or slow, with every default filled in.
import type { ConfigDocument, PoolDocument, RouteDocument } from "./schema.ts";

export interface RouteResilience {
  timeouts: { responseHeadersMs: number; idleMs: number };
}

export interface PoolUpstream {
  connectTimeoutMs: number;
}

export type Protection = object;

export const resolveResilience = (route: RouteDocument): RouteResilience => ({
  timeouts: { responseHeadersMs: 30_000, idleMs: 60_000, ...route.timeouts },
});

export const resolveUpstream = (pool: PoolDocument): PoolUpstream => ({
  connectTimeoutMs: pool.connectTimeoutMs ?? 2_000,
});

export const resolveProtection = (_config: ConfigDocument): Protection => ({});
