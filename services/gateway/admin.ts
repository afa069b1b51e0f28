// The gateway's admin port: health, readiness and metrics as everywhere, and what this gateway knows and holds.
import { createAdminServer } from "@evenkeel/runtime/admin-server.ts";
import type { Scheduling } from "./scheduling/scheduling.ts";

export type AdminOptions = Parameters<typeof createAdminServer>[0] & { scheduling: Scheduling };

export function createGatewayAdmin({ scheduling, ...options }: AdminOptions) {
  const server = createAdminServer(options);
  server.get("/v1/pools", async () => ({ pools: scheduling.view() }));
  return server;
}
