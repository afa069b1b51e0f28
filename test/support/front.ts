// A gateway with any listeners in front of a test's own backends: a whole small cluster, of which the test needs to
// know ports and counts only.

import { fileURLToPath } from "node:url";
import type { ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { PoolState } from "@evenkeel/core/ledger/ledger.ts";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { startCluster, type TestCluster, waitFor } from "./cluster.ts";

const COUNTS_TIMEOUT_MS = 10_000;

export interface Front {
  cluster: TestCluster;
  /** Of a listener, by its name. */
  port(listener: string): number;
  /** In flight by backend, as a scheduler answers it. */
  inflight(pool: string): Promise<Record<string, number>>;
  /** Waits until each backend of the pool has that many in flight. */
  counts(pool: string, expected: Record<string, number>): Promise<void>;
  end(): Promise<void>;
}

/** @param document whose listeners' ports are chosen here */
export async function openFront(document: ConfigDocument, redisUrl: string): Promise<Front> {
  const taken = new Set<number>();
  const ports = new Map<string, number>();
  for (const { name } of document.listeners) ports.set(name, await freePort(taken));
  const listeners = document.listeners.map((one) => ({
    ...{ address: "127.0.0.1", ...one },
    port: ports.get(one.name) as number,
  }));
  const config = { ...document, listeners };
  const cluster = await startCluster({ config, gateways: 1, schedulers: 1, monitors: 1, redisUrl });
  const inflight = async (pool: string) => {
    const answer = await fetch(`${cluster.schedulers[0]?.url}/v1/pools/${pool}`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    const { backends } = (await answer.json()) as PoolState;
    return Object.fromEntries(backends.map((backend) => [backend.id, backend.inflight]));
  };
  return {
    cluster,
    port: (listener) => ports.get(listener) as number,
    inflight,
    async counts(pool, expected) {
      let last = {};
      const same = async () => {
        last = await inflight(pool);
        return JSON.stringify(last) === JSON.stringify(expected);
      };
      const what = `counts of ${JSON.stringify(expected)}`;
      await waitFor(same, { timeoutMs: COUNTS_TIMEOUT_MS, what }).catch((error) => {
        throw new Error(`${error.message}; last were ${JSON.stringify(last)}`);
      });
    },
    async end() {
      await cluster.stop();
    },
  };
}

/** A file of the certificates for tests. */
export const certificateFile = (name: string): string =>
  fileURLToPath(new URL(`../../services/gateway/test-support/certificates/${name}`, import.meta.url));
