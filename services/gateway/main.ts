// The gateway process: wires serving, configuration, workers and the admin port. It starts without Redis and without a
// configuration, is ready when its listeners are open, and from then on serves whatever else is away.
import type { Member } from "@evenkeel/core/wire/member.ts";
import { listenAdmin } from "@evenkeel/runtime/admin-server.ts";
import { readEnvironment } from "@evenkeel/runtime/environment.ts";
import { reportReady, runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { announceMember, memberId } from "@evenkeel/runtime/presence.ts";
import { createGatewayAdmin } from "./admin.ts";
import { followConfig } from "./following.ts";
import { createOwnSockets } from "./listeners/bind.ts";
import { createServing } from "./serving.ts";
import { forker } from "./workers/process.ts";
import { createWorkers } from "./workers/workers.ts";

/** After the drain: time to state empty rows and to leave, for workers first. */
const WORKER_STOP_MARGIN_MS = 4_000;
const STOP_MARGIN_MS = 5_000;

async function start(): Promise<Service> {
  const environment = readEnvironment(process.env);
  const role = "gateway";
  const id = memberId(role, environment.EVENKEEL_NAME);
  const prefix = environment.EVENKEEL_PREFIX;
  const log = createLog(environment.EVENKEEL_LOG_LEVEL, { role, id });
  const clock = () => performance.now();
  const sockets = createOwnSockets(() => workers.share());
  const serving = createServing({
    ...{ id, environment, log, clock, now: Date.now, random: Math.random },
    ...{ bind: sockets.bind, datagrams: true },
  });
  const { metrics, redis, drainMs } = serving;
  const workers = createWorkers({
    ...{ id, metrics, log, clock, sockets },
    spawn: forker(new URL("./workers/main.ts", import.meta.url), process.env),
    stopTimeoutMs: drainMs + WORKER_STOP_MARGIN_MS,
  });

  const admin = createGatewayAdmin(serving, workers);
  const adminUrl = await listenAdmin(admin, environment);
  const member: Member = { role, id, adminUrl, pid: process.pid, startedAtMs: Date.now() };
  const presence = announceMember(redis, prefix, member);
  const following = followConfig({ serving, workers, prefix, log });
  // A start that cannot open what was asked for is none: the rejection ends the process.
  void following.started.then(() => reportReady({ url: serving.listeners()[0]?.url ?? "", adminUrl }));

  return {
    log,
    stopDeadlineMs: drainMs + STOP_MARGIN_MS,
    async stop() {
      await Promise.all([serving.drain(), workers.stop()]);
      following.close();
      await serving.close();
      await presence.leave();
      await admin.close();
      redis.disconnect();
    },
  };
}

await runService(start);
