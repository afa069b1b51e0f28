// The health-monitor process: wires probes, job schedulers, watchdog and ledger together. It starts without Redis and
// without a configuration, and is ready when it has both.
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createAdminServer, listenAdmin } from "@evenkeel/runtime/admin-server.ts";
import { watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { readEnvironment } from "@evenkeel/runtime/environment.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import { reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { announceMember, memberId } from "@evenkeel/runtime/presence.ts";
import { openBlocking, openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { createMonitorMetrics } from "./metrics.ts";
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

  const sweeping = startSweeping({
    redis,
    openBlocking: () => openBlocking({ url, name: `${id}:sweeps` }, log),
    prefix,
    id,
    ledger: createRedisLedger({ redis, prefix }),
    metrics: createMonitorMetrics(metrics),
    log,
  });
  const config = watchConfig(redis, prefix, log, ({ document }) =>
    sweeping.configure(resolveConfig(document).pools),
  );
  const events = subscribeEvents(openSubscriber({ url, name: `${id}:events` }, log), prefix, {
    onEvent: (event) => event.type === "config" && config.refresh(),
    onGap: () => config.refresh(),
  });
  const admin = createAdminServer({
    registry: metrics.registry,
    notReady: () =>
      redis.status !== "ready" ? "redis unreachable" : config.current ? null : "no configuration",
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
      events.close();
      config.close();
      await sweeping.stop();
      await presence.leave();
      await admin.close();
      redis.disconnect();
    },
  };
}

await runService(start);
