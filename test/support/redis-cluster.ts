// A Redis Cluster of three masters, one of them with a replica, that notices a dead master sooner than anyone would
// want in production.
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { waitFor } from "./cluster.ts";
import { openNursery, type RedisNursery, type RedisProcess } from "./redis-process.ts";

const MASTERS = 3;
const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 1_000;
const READY_TIMEOUT_MS = 20_000;

export interface ClusterTopology {
  url: string;
  masters: RedisProcess[];
  /** The master that has a replica. */
  guarded: RedisProcess;
  replica: RedisProcess;
  /** The master that has a key's slot, before any of them died. */
  masterOf(key: string): Promise<RedisProcess>;
  stop(): Promise<void>;
}

/**
 * @param guardedKey whose master is to have the replica
 * @throws when they do not find each other in time
 */
export async function startClusterTopology(guardedKey: string): Promise<ClusterTopology> {
  const nursery = await openNursery();
  try {
    const masters = [await startOne(nursery), await startOne(nursery), await startOne(nursery)] as const;
    const replica = await startOne(nursery);
    for (const [i, master] of masters.entries()) {
      await master.client.cluster("ADDSLOTSRANGE", firstSlot(i), firstSlot(i + 1) - 1);
      await master.client.cluster("SET-CONFIG-EPOCH", i + 1);
    }
    const [first, ...others] = masters;
    for (const { port, busPort } of [...others, replica]) {
      await first.client.call("CLUSTER", "MEET", "127.0.0.1", port, busPort);
    }
    await allAre(masters, "connected", async ({ client }) => {
      const nodes = String(await client.cluster("NODES"));
      return nodes.trim().split("\n").length === MASTERS + 1 && !nodes.includes("handshake");
    });
    const masterOf = async (key: string) => {
      const slot = await replica.client.cluster("KEYSLOT", key);
      return masters.findLast((_, i) => slot >= firstSlot(i)) as RedisProcess;
    };
    const guarded = await masterOf(guardedKey);
    await waitFor(() => replicate(guarded, replica), { timeoutMs: READY_TIMEOUT_MS, what: "a replica" });
    await allAre([replica], "in sync", async ({ client }) =>
      (await client.info("replication")).includes("master_link_status:up"),
    );
    await allAre([...masters, replica], "complete", async ({ client }) => {
      const nodes = String(await client.cluster("NODES"));
      const state = String(await client.cluster("INFO"));
      const complete = state.includes("cluster_state:ok") && state.includes(`cluster_slots_ok:${SLOTS}`);
      return complete && /\bslave\b/.test(nodes);
    });
    return {
      url: `redis+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join()}`,
      masters: [...masters],
      guarded,
      replica,
      masterOf,
      stop: nursery.stop,
    };
  } catch (error) {
    await nursery.stop();
    throw error;
  }
}

const firstSlot = (i: number) => Math.floor((i * SLOTS) / MASTERS);

async function startOne(nursery: RedisNursery): Promise<RedisProcess & { busPort: number }> {
  const [port, busPort] = [await freePort(), await freePort()];
  const one = await nursery.start(
    port,
    ...["--cluster-enabled", "yes", "--cluster-port", String(busPort)],
    ...["--cluster-config-file", `nodes-${port}.conf`, "--cluster-node-timeout", String(NODE_TIMEOUT_MS)],
    // What docs/redis.md asks for: the pools of the other masters go on.
    ...["--cluster-require-full-coverage", "no", "--save", "", "--repl-diskless-sync-delay", "0"],
  );
  return { ...one, busPort };
}

/** Refused until the replica has heard of its master. */
async function replicate(master: RedisProcess, replica: RedisProcess): Promise<boolean> {
  const id = (await master.client.call("CLUSTER", "MYID")) as string;
  return (await replica.client.call("CLUSTER", "REPLICATE", id)) === "OK";
}

async function allAre(
  servers: readonly RedisProcess[],
  what: string,
  test: (server: RedisProcess) => Promise<boolean>,
): Promise<void> {
  await waitFor(async () => (await Promise.all(servers.map(test))).every(Boolean), {
    timeoutMs: READY_TIMEOUT_MS,
    what: `the Redis Cluster to be ${what}`,
  });
}
