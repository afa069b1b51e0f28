// For tests of access: requests as a listener would hand them on, configurations as a user writes them, services whose
// Redis is the model in memory.
import { resolveAccess } from "@evenkeel/core/config/resolve-access.ts";
import type { RouteDocument } from "@evenkeel/core/config/schema.ts";
import { take } from "@evenkeel/core/limits/gcra.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import type { Redis } from "@evenkeel/runtime/redis.ts";
import { onTestFinished } from "vitest";
import type { Fields } from "../../messages/fields.ts";
import type { ClientCertificate } from "../../messages/incoming.ts";
import type { Access, AccessRequest, Grant, Refusal } from "../access.ts";
import { compileAccess } from "../compile.ts";
import { type AccessServices, createAccessServices } from "../services.ts";

export interface Asking {
  method?: string;
  path?: string;
  /** [name as written, value] */
  headers?: readonly (readonly [string, string])[];
  client?: string;
  certificate?: ClientCertificate | null;
  /** Default: with a certificate. */
  tls?: boolean;
  trusted?: boolean;
}

export interface Told {
  refusal: Refusal | null;
  grant: Grant | null;
}

export function requestOf(asking: Asking = {}): AccessRequest {
  const { method = "GET", path = "/a?b=c", headers = [], client = "192.0.2.1", certificate = null } = asking;
  const fields: Fields = headers.flatMap(([name, value]) => [name, name.toLowerCase(), value]);
  const tls = asking.tls ?? certificate !== null;
  return {
    head: {
      ...{ method, target: path, version: "1.1", authority: "shop.example.com", fields },
      ...{ connection: null, bodyLength: 0, upgrade: null },
    },
    connection: {
      endpoint: { name: "web", closing: false },
      ...{ peer: client, peerPort: 1, localAddress: "::1", localPort: 8080 },
      tls: tls ? { servername: null, certificate } : null,
    },
    target: {
      ...{ host: "shop.example.com", authority: "shop.example.com", path: path.split("?")[0] ?? path },
      forwarded: path,
    } as AccessRequest["target"],
    trusted: asking.trusted ?? false,
    client,
  };
}

/** @returns what was told before `check` returned; null: nothing yet */
export function askAtOnce(access: Access | null, asking?: Asking): Told | null {
  let told: Told | null = null;
  access?.check(requestOf(asking), (refusal, grant) => {
    if (told !== null) throw new Error("told twice");
    told = { refusal, grant };
  });
  return told;
}

export const ask = (access: Access | null, asking?: Asking): Promise<Told> =>
  new Promise((resolve, reject) => {
    if (access === null) return reject(new Error("the route has no access"));
    let told = false;
    access.check(requestOf(asking), (refusal, grant) => {
      if (told) throw new Error("told twice");
      told = true;
      resolve({ refusal, grant });
    });
  });

/** The value of a field in a list, undefined for none. */
export function valueIn(fields: Fields | undefined, name: string): string | undefined {
  const at = (fields ?? []).findIndex((text, i) => i % 3 === 1 && text === name.toLowerCase());
  return at === -1 ? undefined : fields?.[at + 1];
}

export interface TestServices extends AccessServices {
  /** ms; both clocks. */
  advance(ms: number): void;
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  readonly logged: string[];
  readonly redis: MemoryRedis;
}

export interface MemoryRedis {
  status: string;
  /** Calls that came. */
  calls: string[];
  /** In place of an answer. */
  fault: (() => Promise<never>) | null;
}

/** A time in 2026. */
export const START_MS = 1_790_000_000_000;

export function createTestServices(): TestServices {
  let passedMs = 0;
  const metrics = createMetrics();
  const logged: string[] = [];
  const line = (...args: unknown[]) => void logged.push(JSON.stringify(args));
  const log = { ...createLog("silent", { role: "test", id: "test" }), warn: line, info: line, error: line };
  const buckets = new Map<string, number>();
  const redis: MemoryRedis = { status: "ready", calls: [], fault: null };
  const fcall = async (_: string, __: number, key: string, intervalUs: number, burst: number) => {
    redis.calls.push(key);
    if (redis.fault) return redis.fault();
    const taken = take(buckets.get(key) ?? null, passedMs * 1_000, { intervalUs, burst });
    buckets.set(key, taken.arrivalUs);
    return [taken.allowed ? taken.remaining : -1, taken.waitUs];
  };
  const services = createAccessServices({
    redis: Object.assign(redis, { fcall }) as unknown as Redis,
    prefix: "test",
    metrics,
    log: log as never,
    clock: () => passedMs,
    now: () => START_MS + passedMs,
  });
  onTestFinished(services.close);
  return {
    ...services,
    advance(ms) {
      passedMs += ms;
    },
    async metric(name, labels = {}) {
      const found = await metrics.registry.getSingleMetric(name)?.get();
      const wanted = Object.entries(labels);
      return (found?.values ?? [])
        .filter((value) =>
          wanted.every(([label, is]) => (value.labels as Record<string, unknown>)[label] === is),
        )
        .reduce((sum, { value }) => sum + value, 0);
    },
    logged,
    redis,
  };
}

export type AccessPart = Pick<RouteDocument, "access" | "rateLimit">;

export const compile = (part: AccessPart, services: AccessServices, name = "api"): Access | null =>
  compileAccess({ name, ...resolveAccess(part as RouteDocument) }, services);
