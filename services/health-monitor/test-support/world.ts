// What the tests against a real Redis share: backends that can fail, and monitors as main.ts wires them, in process.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Pool, resolvePool } from "@evenkeel/core/config/resolve.ts";
import { facts } from "@evenkeel/core/ledger/fixtures.ts";
import type { Finding, Ledger, PoolFacts, Transition } from "@evenkeel/core/ledger/ledger.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { openBlocking, openRedis } from "@evenkeel/runtime/redis.ts";
import { createMonitorMetrics } from "../metrics.ts";
import { startSweeping } from "../sweep/sweeping.ts";

export const INTERVAL_MS = 200;

/** A backend that counts its probes and can be killed and brought back on its port. @param answer to every request */
export async function startBackend(answer = "ok") {
  let probes = 0;
  const create = () =>
    createServer((_request, response) => {
      probes += 1;
      response.end(answer);
    });
  let server = create().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const kill = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return {
    url: `http://127.0.0.1:${port}`,
    get probes() {
      return probes;
    },
    kill,
    async revive() {
      server = create().listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) await kill();
    },
  };
}

export const poolOf = (name: string, urls: readonly string[], intervalMs = INTERVAL_MS): Pool =>
  resolvePool({
    name,
    backends: urls.map((url, i) => ({ id: `${name}-${i}`, url })),
    health: { protocol: "http", path: "/", intervalMs, timeoutMs: 1_000, rise: 2, fall: 3 },
  });

export const factsOf = ({ name, rise, fall, ejectMs, backends }: Pool): PoolFacts =>
  facts({}, { pool: name, rise, fall, holdMs: ejectMs, backends });

/** In the order in which the ledger answered. */
export interface Observation {
  findings: readonly Finding[];
  transitions: readonly Transition[];
  atMs: number;
}

/**
 * @param observations collects what this monitor told the ledger and what came of it
 * @param blockingUrl where its worker finds Redis
 */
export function startMonitor(
  url: string,
  prefix: string,
  id: string,
  observations: Observation[] = [],
  blockingUrl = url,
) {
  const log = createLog("silent", { role: "health-monitor", id });
  const redis = openRedis({ url, name: id }, log);
  const ledger = createRedisLedger({ redis, prefix });
  const metrics = createMonitorMetrics(createMetrics());
  const observe: Ledger["observe"] = async (pool, findings) => {
    const observation = await ledger.observe(pool, findings);
    observations.push({ findings, transitions: observation?.transitions ?? [], atMs: Date.now() });
    return observation;
  };
  const sweeping = startSweeping({
    redis,
    openBlocking: () => openBlocking({ url: blockingUrl, name: `${id}:sweeps` }, log),
    prefix,
    id,
    ledger: { observe },
    metrics,
    log,
  });
  const total = async (metric: "rounds" | "watchdogRestarts") =>
    (await metrics[metric].get()).values.reduce((sum, { value }) => sum + value, 0);
  return {
    redis,
    ledger,
    sweeping,
    rounds: () => total("rounds"),
    restarts: () => total("watchdogRestarts"),
    stop: () => sweeping.stop(),
    async [Symbol.asyncDispose]() {
      await sweeping.stop();
      redis.disconnect();
    },
  };
}
