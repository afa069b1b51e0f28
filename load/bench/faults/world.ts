// What faults are measured on: a cluster as `evenkeel up` starts it, backends that misbehave on demand, and clients that ask
// at a constant rate.
import { setTimeout as sleep } from "node:timers/promises";
import type { ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import { type ClusterOptions, startCluster, type TestCluster } from "../../../test/support/cluster.ts";
import { consecutivePorts } from "../../../test/support/scene.ts";
import { type FaultyBackend, startFaultyBackend } from "./backends.ts";
import { type Clients, startClients } from "./clients.ts";

export const POOL = "shop";
export const GATEWAYS = 4;
export const BACKENDS = 8;
export const PER_SECOND = 1_000;
/** Until code that has just been started runs as fast as it will, ms. */
const WARM_UP_MS = 6_000;
/** Of a backend that is well, ms. */
export const SERVICE_MS = 10;

/** Routes that differ in how long a gateway waits for an answer's header section: `timeouts.responseHeadersMs`. */
export const ROUTES = { usual: 1_000, prompt: 500, patient: 30_000 } as const;
export type RouteName = keyof typeof ROUTES;
export const pathOf = (route: RouteName): string => `/${route}/item`;

export interface World {
  cluster: TestCluster;
  backends: FaultyBackend[];
  clients: Clients;
  stop(): Promise<void>;
}

export interface WorldOptions extends Pick<ClusterOptions, "redisUrl"> {
  /** More of the pool. */
  pool?: Partial<PoolDocument>;
}

/** Under load, and warm. @throws when it cannot be started; nothing is left running then */
export async function openWorld({ pool, ...options }: WorldOptions = {}): Promise<World> {
  const backends = await Promise.all(
    Array.from({ length: BACKENDS }, (_, i) => startFaultyBackend(i + 1, SERVICE_MS)),
  );
  const stopBackends = () => Promise.all(backends.map((backend) => backend.stop()));
  try {
    const config = configOf(backends, await consecutivePorts(GATEWAYS), pool);
    const sizes = { gateways: GATEWAYS, schedulers: 2, monitors: 2 };
    const cluster = await startCluster({ config, ...sizes, ...options });
    const ports = cluster.gateways.map(({ url }) => Number(new URL(url).port));
    const clients = startClients(ports);
    clients.ask(pathOf("usual"), PER_SECOND);
    await sleep(WARM_UP_MS);
    return {
      cluster,
      backends,
      clients,
      async stop() {
        await clients.stop();
        await cluster.stop();
        await stopBackends();
      },
    };
  } catch (error) {
    await stopBackends();
    throw error;
  }
}

const configOf = (
  backends: readonly FaultyBackend[],
  port: number,
  pool: Partial<PoolDocument> = {},
): ConfigDocument => ({
  listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
  routes: Object.entries(ROUTES).map(([name, responseHeadersMs]) => ({
    name,
    match: { path: `/${name}/*` },
    proxy: "dynamic",
    pool: POOL,
    timeouts: { responseHeadersMs },
    retryStatuses: ["500-599"],
  })),
  pools: [
    {
      name: POOL,
      backends: backends.map(({ id, url }) => ({ id, url })),
      health: { protocol: "http", path: "/healthz", intervalMs: 1_000, timeoutMs: 500, rise: 2, fall: 3 },
      eject: { statuses: ["500-599"] },
      ...pool,
    },
  ],
  debugHeaders: true,
});
