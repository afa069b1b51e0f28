// Where backends are found, and who is told of what happens, with every default filled in.
import type { BackendScheme } from "./backend-url.ts";
import type { BackendDocument, ConfigDocument, PoolDocument } from "./schema.ts";
import type { NOTIFIED_EVENTS } from "./schema-notifications.ts";

export interface FileSource {
  path: string;
}

export interface DnsSource {
  name: string;
  type: "A" | "AAAA" | "SRV";
  scheme: BackendScheme;
  /** Null with SRV. */
  port: number | null;
  /** Empty: the system's. */
  resolvers: string[];
  minIntervalMs: number;
  maxIntervalMs: number;
}

export interface DockerSource {
  host: string;
  network: string | null;
  intervalMs: number;
}

export interface Registration {
  /** CIDRs. */
  allow: string[];
  ttlMs: number;
  maxBackends: number;
}

/** Null: not such a source. */
export interface Discovery {
  file: FileSource | null;
  dns: DnsSource | null;
  docker: DockerSource | null;
  registration: Registration | null;
  defaults: Partial<BackendDocument>;
  whenEmpty: "keep" | "empty";
}

export type NotifiedEvent = (typeof NOTIFIED_EVENTS)[number];

export interface Notification {
  name: string;
  url: string;
  secretFile: string | null;
  events: NotifiedEvent[];
  /** Null: all. */
  pools: string[] | null;
  timeoutMs: number;
  attempts: number;
}

/** Null: all backends are in the configuration. */
export function resolveDiscovery({ discovery }: PoolDocument): Discovery | null {
  if (!discovery) return null;
  const { file, dns, docker, registration } = discovery;
  return {
    file: file ?? null,
    dns: dns
      ? {
          name: dns.name,
          type: dns.type ?? "A",
          scheme: dns.scheme ?? "http",
          port: dns.port ?? null,
          resolvers: dns.resolvers ?? [],
          minIntervalMs: dns.minIntervalMs ?? 1_000,
          maxIntervalMs: dns.maxIntervalMs ?? 60_000,
        }
      : null,
    docker: docker
      ? {
          host: docker.host ?? "unix:///var/run/docker.sock",
          network: docker.network ?? null,
          intervalMs: docker.intervalMs ?? 10_000,
        }
      : null,
    registration: registration
      ? {
          allow: registration.allow,
          ttlMs: registration.ttlMs ?? 10_000,
          maxBackends: registration.maxBackends ?? 1_000,
        }
      : null,
    defaults: discovery.defaults ?? {},
    whenEmpty: discovery.whenEmpty ?? "keep",
  };
}

export const resolveNotifications = ({ notifications = [] }: ConfigDocument): Notification[] =>
  notifications.map((one) => ({
    name: one.name,
    url: one.url,
    secretFile: one.secretFile ?? null,
    events: one.events ?? ["health", "panic"],
    pools: one.pools ?? null,
    timeoutMs: one.timeoutMs ?? 5_000,
    attempts: one.attempts ?? 8,
  }));
