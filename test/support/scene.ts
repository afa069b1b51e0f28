// The scene of an end-to-end test: backends, a cluster over them, a client, and the questions asked of all three.
import type { BackendDocument, ConfigDocument, PoolDocument } from "@evenkeel/core/config/schema.ts";
import type { PoolState, Rows } from "@evenkeel/core/ledger/ledger.ts";
import { freePort, isFree } from "../../libs/cli/supervisor/ports.ts";
import {
  type ClusterOptions,
  startBackend,
  startCluster,
  type TestBackend,
  type TestCluster,
} from "./cluster.ts";
import { type Client, createClient } from "./load.ts";

export const POOL = "shop";

export interface GatewayView {
  pool: string;
  version: number;
  deciding: "scheduler" | "fallback";
  held: Record<string, number>;
  eligible: string[];
}

export interface Scene {
  cluster: TestCluster;
  backends: TestBackend[];
  client: Client;
  /** One URL per gateway, of the dynamic route. */
  urls: string[];
  /** The pool as a scheduler answers it; the next scheduler is asked when one is away. */
  pool(): Promise<PoolState & { rows: Rows }>;
  /** What each gateway says of the pool, by the gateways' ids. */
  views(): Promise<Record<string, GatewayView>>;
  /** Sum of a Prometheus counter over all gateways, over the lines that contain every one of `labels`. */
  counter(name: string, ...labels: string[]): Promise<number>;
  end(): Promise<void>;
}

export interface SceneOptions extends Omit<ClusterOptions, "config"> {
  /** Of the backends b1, b2, …, in order. */
  weights: number[];
  delayMs?: number;
  /** More of the pool, and of each backend. */
  pool?: Partial<PoolDocument>;
  members?: Partial<BackendDocument>[];
  /** More of the configuration. */
  document?: Partial<ConfigDocument>;
  /** Default: real processes. */
  startBackend?: (id: string) => Promise<TestBackend>;
}

export async function openScene(options: SceneOptions): Promise<Scene> {
  const { weights, delayMs = 0 } = options;
  const startOne = options.startBackend ?? ((id: string) => startBackend({ id, delayMs }));
  const backends = await Promise.all(weights.map((_, i) => startOne(`b${i + 1}`)));
  const port = await consecutivePorts(options.gateways ?? 1);
  const cluster = await startCluster({ ...options, config: sceneConfig(backends, port, options) });
  const client = createClient();
  const json = async (url: string) => {
    const answer = await client.get(url);
    if (answer.status !== 200) throw new Error(`${url}: ${answer.error ?? answer.status} ${answer.body}`);
    return JSON.parse(answer.body);
  };
  return {
    cluster,
    backends,
    client,
    urls: cluster.gateways.map((gateway) => `${gateway.url}/`),
    async pool() {
      let last: unknown;
      for (const scheduler of cluster.schedulers) {
        try {
          return await json(`${scheduler.url}/v1/pools/${POOL}?rows=true`);
        } catch (error) {
          last = error;
        }
      }
      throw last;
    },
    async views() {
      const views: Record<string, GatewayView> = {};
      for (const gateway of cluster.gateways) {
        const { pools } = (await json(`${gateway.adminUrl}/v1/pools`)) as { pools: GatewayView[] };
        views[gateway.id] = pools.find((one) => one.pool === POOL) as GatewayView;
      }
      return views;
    },
    async counter(name, ...labels) {
      let sum = 0;
      for (const gateway of cluster.gateways) {
        for (const line of (await client.get(`${gateway.adminUrl}/metrics`)).body.split("\n")) {
          if (!line.startsWith(name) || !labels.every((label) => line.includes(label))) continue;
          sum += Number(line.slice(line.lastIndexOf(" ") + 1));
        }
      }
      return sum;
    },
    async end() {
      client.close();
      await cluster.stop();
      await Promise.all(backends.map((backend) => backend.stop()));
    },
  };
}

function sceneConfig(
  backends: TestBackend[],
  port: number,
  { weights, pool, members, document }: SceneOptions,
): ConfigDocument {
  return {
    listeners: [{ name: "web", protocol: "http", port, address: "127.0.0.1" }],
    routes: [
      { name: "bound", match: { path: "/bound/*" }, proxy: "static", pool: POOL, backend: "b1" },
      { name: "all", match: { path: "/*" }, proxy: "dynamic", pool: POOL },
    ],
    pools: [
      {
        name: POOL,
        backends: backends.map(({ id, url }, i) => ({
          id,
          url,
          weight: weights[i] as number,
          ...members?.[i],
        })),
        health: { protocol: "http", path: "/healthz", intervalMs: 1_000, timeoutMs: 500, rise: 2, fall: 3 },
        ejectMs: 2_000,
        ...pool,
      },
    ],
    debugHeaders: true,
    ...document,
  };
}

const PORT_ATTEMPTS = 50;

/** The first of `count` ports in a row that are free now: gateways take consecutive ones. */
export async function consecutivePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt += 1) {
    const first = await freePort();
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports in a row found`);
}

/** A gateway's id in rows ends with the process's own random part. */
export const rowOf = (rows: Rows, gateway: string) =>
  Object.entries(rows).find(([id]) => id.startsWith(`${gateway}.`))?.[1] ?? {};

export const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, n) => sum + n, 0);

export function sumRows(rows: Rows): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const row of Object.values(rows))
    for (const [id, n] of Object.entries(row)) sum[id] = (sum[id] ?? 0) + n;
  return sum;
}
