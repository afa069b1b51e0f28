// A further process of a gateway, started by its first one: serves what that one opens and configures. It has a row of
// its own in the shared count, and is told of pools by Redis itself.
import { readEnvironment } from "@evenkeel/runtime/environment.ts";
import { runService, type Service } from "@evenkeel/runtime/life-cycle.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { takeSnapshot } from "@evenkeel/runtime/metrics.ts";
import { createGivenSockets } from "../listeners/bind.ts";
import { createServing } from "../serving.ts";
import { followFirstProcess } from "./follow.ts";
import { parentChannel } from "./process.ts";

/** After the drain: time to state empty rows and to leave; less than the first process gives. */
const STOP_MARGIN_MS = 3_000;

async function start(): Promise<Service> {
  const environment = readEnvironment(process.env);
  const [id] = process.argv.slice(2);
  if (id === undefined || !process.connected)
    throw new Error("a worker is started by a gateway that is configured with `workers`, not by itself");
  const log = createLog(environment.EVENKEEL_LOG_LEVEL, { role: "gateway", id });
  const clock = () => performance.now();
  const sockets = createGivenSockets();
  const serving = createServing({
    ...{ id, environment, log, clock, now: Date.now, random: Math.random },
    ...{ bind: sockets.bind, datagrams: false },
  });
  const { metrics } = serving;
  serving.followEvents(() => {});
  // The first process was killed: whoever takes its place opens the ports anew.
  process.on("disconnect", serving.releasePorts);
  const channel = parentChannel(process);
  const following = followFirstProcess({
    ...{ channel, sockets, notReady: serving.notReady, pools: serving.pools },
    metrics: () => takeSnapshot(metrics),
    async configure({ version, document }) {
      const { errors } = await serving.configure(document);
      log.info({ version, listeners: serving.listeners() }, "configuration applied");
      for (const error of errors) log.error({ reason: error.message }, "listener not as configured");
    },
  });

  return {
    log,
    stopDeadlineMs: serving.drainMs + STOP_MARGIN_MS,
    async stop() {
      await following.giveBack();
      await serving.drain();
      following.close();
      await serving.close();
      serving.redis.disconnect();
      await channel.sent({ kind: "farewell", metrics: await takeSnapshot(metrics) });
    },
  };
}

await runService(start);
