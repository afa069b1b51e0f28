// A process that does nothing but discovery, as a monitor does: to be killed, or stopped and woken.
// Arguments: url of Redis, prefix, id. Tells on standard output when it has the configuration, when it leads and when no more.
import { createDiscoveryStore } from "@evenkeel/ledger/discovery-store.ts";
import { createRegistrations } from "@evenkeel/ledger/registrations.ts";
import { watchConfig } from "@evenkeel/runtime/config-watch.ts";
import { subscribeEvents } from "@evenkeel/runtime/event-bus.ts";
import { createLog } from "@evenkeel/runtime/log.ts";
import { createMetrics } from "@evenkeel/runtime/metrics.ts";
import { openRedis, openSubscriber } from "@evenkeel/runtime/redis.ts";
import { startDiscovery } from "../discovery.ts";
import { createDiscoveryMetrics } from "../metrics.ts";

const [url = "", prefix = "", id = ""] = process.argv.slice(2);
const log = createLog("info", { role: "health-monitor", id });
const redis = openRedis({ url, name: id }, log);
const discovery = startDiscovery({
  store: createDiscoveryStore({ redis, prefix }),
  registrations: createRegistrations({ redis, prefix }),
  schedulerAgoMs: async () => null,
  id,
  metrics: createDiscoveryMetrics(createMetrics()),
  log,
});
const config = watchConfig(redis, prefix, log, (applied) => {
  log.info("configured");
  discovery.configure(applied);
});
subscribeEvents(openSubscriber({ url, name: `${id}:events` }, log), prefix, {
  onEvent(event) {
    if (event.type === "config") config.refresh();
    if (event.type === "registration") discovery.onRegistration(event.pool);
  },
  onGap: () => config.refresh(),
});
