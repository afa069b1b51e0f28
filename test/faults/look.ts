// What the cluster says of itself: the pool as a scheduler shows it, as every gateway knows it, and the gateways' counters.
import type { ShownPool } from "@evenkeel/core/wire/shown-pool.ts";
import type { Cluster } from "./cluster.ts";
import type { GatewayView } from "./facts.ts";
import { POOL } from "./settings.ts";

const LOOK_TIMEOUT_MS = 2_000;
const EXHAUSTED = /^evenkeel_gateway_retry_budget_exhausted_total\{[^}]*\} (\d+)$/gm;

async function ask(url: string): Promise<Response> {
  const response = await fetch(url, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

const ofRole = ({ services }: Cluster, role: string) =>
  [...services]
    .filter(([, service]) => service.role === role)
    .map(([id, { adminUrl }]) => ({ id, adminUrl }));

/** As each scheduler shows it, with its rows. @throws when one cannot */
export const lookAtPool = (cluster: Cluster): Promise<ShownPool[]> =>
  Promise.all(
    ofRole(cluster, "scheduler").map(async ({ adminUrl }) => {
      const response = await ask(`${adminUrl}/v1/pools/${POOL}?rows=true`);
      return (await response.json()) as ShownPool;
    }),
  );

/** @throws when a gateway does not answer */
export const lookAtGateways = (cluster: Cluster): Promise<GatewayView[]> =>
  Promise.all(
    ofRole(cluster, "gateway").map(async ({ id, adminUrl }) => {
      const { pools } = (await (await ask(`${adminUrl}/v1/pools`)).json()) as {
        pools: ({ pool: string } & GatewayView)[];
      };
      const view = pools.find(({ pool }) => pool === POOL);
      if (view === undefined) throw new Error(`${id} does not know the pool`);
      const { version, deciding, eligible } = view;
      return { gateway: id, version, deciding, eligible };
    }),
  );

/** Refused retries by gateway; nothing of one that does not answer. */
export async function lookAtBudgets(cluster: Cluster): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  await Promise.all(
    ofRole(cluster, "gateway").map(async ({ id, adminUrl }) => {
      const text = await ask(`${adminUrl}/metrics`).then(
        (response) => response.text(),
        () => "",
      );
      found.set(
        id,
        text.matchAll(EXHAUSTED).reduce((sum, [, count]) => sum + Number(count), 0),
      );
    }),
  );
  return found;
}
