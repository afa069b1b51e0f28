// The scheduler process: wires batching, reconciling and the API. It starts without Redis and without a
// configuration, and is ready when it has both.
import { createConfigStore } from "@evenkeel/ledger/config-store.ts";
import { createDeadLetters } from "@evenkeel/ledger/dead-letters.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createRegistrations } from "@evenkeel/ledger/registrations.ts";
import { listenAdmin } from "@evenkeel/runtime/admin-server.ts";
import { integer, readEnvironment } from "@evenkeel/runtime/environment.ts";
import { reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { announceMember, memberId, readMembers } from "@evenkeel/runtime/presence.ts";
import { openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { createApi } from "./api/server.ts";
import { createBatcher } from "./batching/batcher.ts";
import { createLogTail } from "./events/tail.ts";
import { watchEviction } from "./eviction.ts";
import { watchMembers } from "./members-watch.ts";
import { createSchedulerMetrics } from "./metrics.ts";
import { followConfig } from "./reconcile/following.ts";

/** A decision later than this is of no use: its gateway has long decided by itself. */
const DECISION_TIMEOUT_MS = 250;

async function start(): Promise<Service> {
  const environment = readEnvironment(process.env);
  const { EVENKEEL_PREFIX: prefix, EVENKEEL_REDIS_URL: url } = environment;
  const { EVENKEEL_CONFIG: seedFile, EVENKEEL_TOKEN: token } = environment;
  const stopDeadlineMs = integer(environment, "EVENKEEL_DRAIN_DEADLINE_MS", 0, 3_600_000);
  const role = "scheduler";
  const id = memberId(role, environment.EVENKEEL_NAME);
  const log = createLog(environment.EVENKEEL_LOG_LEVEL, { role, id });

  // Decisions have a connection to themselves: no administrator's request and no large pool makes one wait.
  const decisions = openRedis({ url, name: `${id}:decisions`, commandTimeoutMs: DECISION_TIMEOUT_MS }, log);
  const redis = openRedis({ url, name: id }, log);
  const { metrics, observer, onReconciled, onRegistration } = createSchedulerMetrics(decisions, log);
  watchEviction(redis, metrics, log);
  const configs = createConfigStore({ redis, prefix });
  const ledger = createRedisLedger({ redis, prefix });
  const tail = createLogTail({ ledger, configs });
  const events = openSubscriber({ url, name: `${id}:events` }, log);
  const stores = { redis, prefix, configs, ledger };
  const reconciler = followConfig({ ...stores, events, hints: tail, seedFile, onReconciled, log });
  let stopping = false;
  const notReady = () =>
    stopping ? "stopping" : decisions.status === "ready" ? reconciler.lacking() : "redis unreachable";
  const members = () => readMembers(redis, prefix);
  const watch = watchMembers({ readMembers: members, metrics, log });
  const { settle } = createRedisLedger({ redis: decisions, prefix });
  const batcher = createBatcher({ ledger: { ...ledger, settle }, restore: reconciler.restore, observer });
  const at = { redis, prefix };
  const kept = { deadLetters: createDeadLetters(at), registrations: createRegistrations(at) };
  const registering = { registerToken: environment.EVENKEEL_REGISTER_TOKEN, onRegistration };
  const stored = { ledger, configs, ...kept, ...registering };
  const control = { ...stored, reconciler, tail, readMembers: members };
  const api = await createApi({ registry: metrics.registry, notReady, log, token, batcher, ...control });
  const adminUrl = await listenAdmin(api, environment);
  const self = { role, id, adminUrl, pid: process.pid, startedAtMs: Date.now() } as const;
  const presence = announceMember(redis, prefix, self);
  log.info({ adminUrl }, "scheduling");
  void reconciler.first.then(() => reportReady({ url: adminUrl, adminUrl }));

  return {
    log,
    stopDeadlineMs,
    async stop() {
      stopping = true;
      await presence.leave();
      await api.close();
      reconciler.close();
      watch.close();
      decisions.disconnect();
      redis.disconnect();
    },
  };
}

await runService(start);
