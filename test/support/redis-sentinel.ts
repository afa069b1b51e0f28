// A master with a replica, watched by three sentinels that are quicker to act than anyone would want in production.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../libs/cli/supervisor/ports.ts";
import { waitFor } from "./cluster.ts";
import { openNursery, type RedisNursery, type RedisProcess } from "./redis-process.ts";

const NAME = "main";
const SENTINELS = 3;
const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 5_000;
const READY_TIMEOUT_MS = 20_000;
/** How often sentinels look and talk; their own 1 to 10 s would make every test wait for them to find each other. */
const PERIOD_MS = "200";
const PERIODS = ["info-period", "publish-period", "ask-period"].flatMap((name) => [name, PERIOD_MS]);

export interface SentinelTopology {
  url: string;
  /** As it was at the start. */
  master: RedisProcess;
  replica: RedisProcess;
  stop(): Promise<void>;
}

/** @throws when they do not find each other in time */
export async function startSentinelTopology(): Promise<SentinelTopology> {
  const nursery = await openNursery();
  try {
    const memoryOnly = ["--save", "", "--repl-diskless-sync-delay", "0"];
    const master = await nursery.start(await freePort(), ...memoryOnly);
    const replicaOf = ["--replicaof", "127.0.0.1", String(master.port)];
    const replica = await nursery.start(await freePort(), ...memoryOnly, ...replicaOf);
    const sentinels: RedisProcess[] = [];
    while (sentinels.length < SENTINELS) sentinels.push(await startSentinel(nursery, master.port));
    await waitFor(async () => (await Promise.all(sentinels.map(isReady))).every(Boolean), {
      timeoutMs: READY_TIMEOUT_MS,
      what: "the sentinels to know each other and the replica",
    });
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join();
    return { url: `redis+sentinel://${hosts}/${NAME}`, master, replica, stop: nursery.stop };
  } catch (error) {
    await nursery.stop();
    throw error;
  }
}

async function startSentinel(nursery: RedisNursery, masterPort: number): Promise<RedisProcess> {
  const port = await freePort();
  const file = join(nursery.directory, `sentinel-${port}.conf`);
  const majority = Math.floor(SENTINELS / 2) + 1;
  const lines = [
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${majority}`,
    `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const sentinel = await nursery.start(port, file, "--sentinel");
  await sentinel.client.call("SENTINEL", "DEBUG", ...PERIODS);
  return sentinel;
}

async function isReady({ client }: RedisProcess): Promise<boolean> {
  const [masters, replicas] = await Promise.all([
    client.call("SENTINEL", "MASTERS") as Promise<string[][]>,
    client.call("SENTINEL", "REPLICAS", NAME) as Promise<string[][]>,
  ]);
  return (
    masters.some((fields) => fieldOf(fields, "num-other-sentinels") === String(SENTINELS - 1)) &&
    replicas.some((fields) => fieldOf(fields, "master-link-status") === "ok")
  );
}

const fieldOf = (fields: readonly string[], name: string) => fields[fields.indexOf(name) + 1];
