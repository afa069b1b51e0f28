// The health-monitor process: wires probes, job schedulers, watchdog and ledger together. It starts without Redis and
// without a configuration, and is ready when it has both.
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { resolveConfig } from "@evenkeel/core/config/resolve.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";
import { createRedisLedger } from "@evenkeel/ledger/redis-ledger.ts";
import { createAdminServer } from "@evenkeel/runtime/admin-server.ts";
import { watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { integer, readEnvironment } from "@evenkeel/runtime/environment.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import { advertisedHost, reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { announceMember } from "@evenkeel/runtime/presence.ts";
import { openBlocking, openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { createMonitorMetrics } from "./metrics.ts";
import { startSweeping } from "./sweep/sweeping.ts";

const STOP_DEADLINE_MS = 10_000;

async function start(): Promise<Service> {
  const environment = readEnvironment(process.env);
  const adminPort = integer(environment, "EVENKEEL_ADMIN_PORT", 0, 65_535);
  const { EVENKEEL_PREFIX: prefix, EVENKEEL_REDIS_URL: url, EVENKEEL_ADMIN_ADDRESS: host } = environment;
  const role = "health-monitor";
  const id = `${environment.EVENKEEL_NAME || `${role}-${process.pid}`}.${randomBytes(3).toString("hex")}`;
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
  const config = watchConfig(
    redis,
    prefix,
    ({ document }) => sweeping.configure(resolveConfig(document).pools),
    (error) => log.debug({ reason: error.message }, "configuration not read"),
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
  await admin.listen({ host, port: adminPort });
  const { port } = admin.server.address() as AddressInfo;
  const adminUrl = `http://${advertisedHost(environment.EVENKEEL_ADVERTISE_HOST, host)}:${port}`;
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
