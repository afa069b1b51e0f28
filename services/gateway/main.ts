// The gateway process: wires scheduling, data path and configuration. It starts without Redis and without a
// configuration, is ready when its listeners are open, and from then on serves whatever else is away.
import type { Member } from "@evenkeel/core/wire/member.ts";
import { listenAdmin } from "@evenkeel/runtime/admin-server.ts";
import { integer, readEnvironment } from "@evenkeel/runtime/environment.ts";
import { reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { announceMember, memberId } from "@evenkeel/runtime/presence.ts";
import { openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { createGatewayAdmin } from "./admin.ts";
import { followCookieSecret } from "./cookie-secret.ts";
import { createDataPath } from "./data-path.ts";
import { followConfig } from "./following.ts";
import { followSchedulers } from "./scheduler-list.ts";
import { createScheduling } from "./scheduling/settle-client.ts";

/** After the drain: time to state empty rows and to leave. */
const STOP_MARGIN_MS = 5_000;

async function start(): Promise<Service> {
  const env = readEnvironment(process.env);
  const portOffset = integer(env, "EVENKEEL_PORT_OFFSET", 0, 65_535);
  const drainGraceMs = integer(env, "EVENKEEL_DRAIN_GRACE_MS", 0, 3_600_000);
  const drainDeadlineMs = integer(env, "EVENKEEL_DRAIN_DEADLINE_MS", 0, 3_600_000);
  const { EVENKEEL_PREFIX: prefix, EVENKEEL_REDIS_URL: url } = env;
  const role = "gateway";
  const id = memberId(role, env.EVENKEEL_NAME);
  const log = createLog(env.EVENKEEL_LOG_LEVEL, { role, id });
  const metrics = createMetrics();
  const clock = () => performance.now();
  const redis = openRedis({ url, name: id }, log);
  const subscriber = openSubscriber({ url, name: `${id}:events` }, log);

  const schedulers = followSchedulers(env.EVENKEEL_SCHEDULERS, redis, prefix);
  const decision = { schedulers: schedulers.urls, token: env.EVENKEEL_TOKEN, clock, random: Math.random };
  const scheduling = createScheduling({ gatewayId: id, ...decision, metrics, log });
  const cookies = followCookieSecret(env.EVENKEEL_COOKIE_SECRET, redis, prefix, log);
  const accessLog = env.EVENKEEL_ACCESS_LOG === "on" ? log : null;
  const drain = { drainGraceMs, drainDeadlineMs };
  const said = { zone: env.EVENKEEL_ZONE, cookieSecret: cookies.current };
  const dataPath = createDataPath({
    ...{ scheduling, metrics, log, accessLog, clock, portOffset },
    ...said,
    ...drain,
  });

  const { notReady } = dataPath;
  const admin = createGatewayAdmin({ registry: metrics.registry, notReady, scheduling });
  const adminUrl = await listenAdmin(admin, env);
  const member: Member = { role, id, adminUrl, pid: process.pid, startedAtMs: Date.now() };
  const presence = announceMember(redis, prefix, member);
  const following = followConfig({ redis, subscriber, prefix, dataPath, scheduling, log });
  // A start that cannot open what was asked for is none: the rejection ends the process.
  void following.serving.then(() => reportReady({ url: dataPath.listeners()[0]?.url ?? "", adminUrl }));

  return {
    log,
    stopDeadlineMs: drainGraceMs + drainDeadlineMs + STOP_MARGIN_MS,
    async stop() {
      await dataPath.drain();
      following.close();
      await scheduling.stop();
      schedulers.close();
      cookies.close();
      await presence.leave();
      await admin.close();
      redis.disconnect();
    },
  };
}

await runService(start);
