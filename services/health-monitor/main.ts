// The health-monitor process: wires probing, discovery and notifications to the ledger. It starts without Redis and
// without a configuration, and is ready when it has both.
import type { Member } from "@evenkeel/core/wire/member.ts";
import { createDiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createRegistrations } from "@evenkeel/ledger/registrations.ts";
import { createAdminServer, listenAdmin } from "@evenkeel/runtime/admin-server.ts";
import { readEnvironment } from "@evenkeel/runtime/environment.ts";
import { reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { announcedAgoMs, announceMember, memberId } from "@evenkeel/runtime/presence.ts";
import { openBlocking, openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { startDiscovery } from "./discovery/discovery.ts";
import { createDiscoveryMetrics } from "./discovery/metrics.ts";
import { followCluster } from "./following.ts";
import { createMonitorMetrics } from "./metrics.ts";
import { startNotifications } from "./notifications/notifications.ts";
import { startSweeping } from "./sweep/sweeping.ts";

const STOP_DEADLINE_MS = 10_000;

async function start(): Promise<Service> {
  const environment = readEnvironment(process.env);
  const { EVENKEEL_PREFIX: prefix, EVENKEEL_REDIS_URL: url } = environment;
  const role = "health-monitor";
  const id = memberId(role, environment.EVENKEEL_NAME);
  const log = createLog(environment.EVENKEEL_LOG_LEVEL, { role, id });
  const metrics = createMetrics();
  const redis = openRedis({ url, name: id }, log);

  const ledger = createRedisLedger({ redis, prefix });
  const openBlockingFor = (what: string) => () => openBlocking({ url, name: `${id}:${what}` }, log);

  const sweeping = startSweeping({
    ...{ redis, prefix, id, ledger, log, metrics: createMonitorMetrics(metrics) },
    openBlocking: openBlockingFor("sweeps"),
  });
  const discovery = startDiscovery({
    ...{ id, log, metrics: createDiscoveryMetrics(metrics) },
    store: createDiscoveryStore({ redis, prefix }),
    registrations: createRegistrations({ redis, prefix }),
    schedulerAgoMs: () => announcedAgoMs(redis, prefix, "scheduler"),
  });
  const notifications = startNotifications({
    ...{ redis, prefix, ledger, metrics, log },
    openBlocking: openBlockingFor("notifications"),
    isLeading: () => discovery.leading,
  });
  const following = followCluster({
    ...{ redis, prefix, log, sweeping, discovery, notifications },
    subscriber: openSubscriber({ url, name: `${id}:events` }, log),
  });
  const admin = createAdminServer({
    registry: metrics.registry,
    notReady: () =>
      redis.status !== "ready" ? "redis unreachable" : following.current ? null : "no configuration",
  });
  const adminUrl = await listenAdmin(admin, environment);
  const member: Member = { role, id, adminUrl, pid: process.pid, startedAtMs: Date.now() };
  const presence = announceMember(redis, prefix, member);
  log.info({ adminUrl }, "monitoring");
  reportReady({ url: adminUrl, adminUrl });

  return {
    log,
    stopDeadlineMs: STOP_DEADLINE_MS,
    async stop() {
      following.close();
      await Promise.all([sweeping.stop(), discovery.stop(), notifications.stop()]);
      await presence.leave();
      await admin.close();
      redis.disconnect();
    },
  };
}

await runService(start);
