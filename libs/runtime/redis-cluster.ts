// A Redis Cluster behind one connection: every command goes to the master that has its key's slot. Slots are asked for
// anew all the time, so that a master without commands that replaced another is known before it is needed.
import { Cluster, type ClusterOptions, type RedisOptions } from "ioredis";
import type { Endpoint } from "./redis-address.ts";

/** Also the longest that a cluster all of which vanished counts as connected. */
const SLOTS_REFRESH_INTERVAL_MS = 2_000;

/** Of one patient command. At least every other one waits 100 ms, so that half a minute without a master is survived. */
const PATIENT_REDIRECTIONS_MAX = 600;

/** The kind of replies stays the client's default, which its types want left out. */
export type ClientOptions = Omit<RedisOptions, "replyMapping">;

export interface ClusterConnection {
  endpoints: Endpoint[];
  /** Of the connection to each server. */
  server: ClientOptions;
  /** Before the nth attempt to find any server again. */
  reconnectDelayMs: (attempt: number) => number;
}

const optionsOf = ({ server, reconnectDelayMs }: ClusterConnection) =>
  ({
    redisOptions: server,
    clusterRetryStrategy: reconnectDelayMs,
    // Names stay names: certificates are verified against them, and they are resolved again with every connection.
    dnsLookup: (hostname, done) => done(null, hostname),
  }) satisfies ClusterOptions;

/** Commands wait for a cluster that is not connected, and are repeated while a master is replaced. */
export const openPatientCluster = (connection: ClusterConnection): Cluster =>
  new Cluster(connection.endpoints, {
    ...optionsOf(connection),
    slotsRefreshInterval: SLOTS_REFRESH_INTERVAL_MS,
    maxRedirections: PATIENT_REDIRECTIONS_MAX,
  });

/**
 * Commands are never sent twice and never wait for a cluster that is not connected. Only the first to a server wait
 * until that is connected, within their timeout: hence the queues of the servers, but not that of the cluster.
 */
export function openHastyCluster(connection: ClusterConnection): Cluster {
  const cluster = new Cluster(connection.endpoints, {
    ...optionsOf(connection),
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
  });
  const send = cluster.sendCommand.bind(cluster);
  cluster.sendCommand = (command, stream, server) => {
    if (cluster.status === "ready" || command.name === "cluster") return send(command, stream, server);
    command.reject(new Error("the Redis Cluster is not connected"));
    return command.promise;
  };
  keepSlotsFresh(cluster);
  return cluster;
}

/** Unlike the client's own timer it notices when no server answers, and has the cluster searched anew. */
function keepSlotsFresh(cluster: Cluster): void {
  const timer = setInterval(() => {
    if (cluster.status !== "ready") return;
    cluster.refreshSlotsCache((error) => {
      if (error && cluster.status === "ready") cluster.disconnect(true);
    });
  }, SLOTS_REFRESH_INTERVAL_MS).unref();
  cluster.once("end", () => clearInterval(timer));
}
