// The gateway's admin port: health, readiness and metrics as everywhere, and what this gateway knows and holds. All its
// processes answer as one.
import { createAdminServer } from "@evenkeel/runtime/admin-server.ts";
import type { Serving } from "./serving.ts";
import type { Workers } from "./workers/workers.ts";

export function createGatewayAdmin(serving: Serving, workers: Workers) {
  const server = createAdminServer({
    registry: { contentType: serving.metrics.registry.contentType, metrics: workers.scrape },
    notReady: () => serving.notReady() ?? workers.notReady(),
  });
  server.get("/v1/pools", async () => ({ pools: await workers.views(serving.pools()) }));
  return server;
}
