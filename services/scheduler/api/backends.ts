// /v1/pools/{pool}/backends: the backends of the configuration, and what an operator wishes of them (their mode).
import { type BackendDocument, BackendSchema, type ConfigDocument } from "@evenkeel/core/config/schema.ts";
import type { Mode } from "@evenkeel/core/health/state.ts";
import type { FastifyInstance } from "fastify";
import { SchedulerError, unknownPool } from "../errors.ts";
import type { ChangeConfig } from "./change.ts";
import { put, without } from "./edits.ts";
import type { PoolView } from "./pool-view.ts";
import { answers, BackendParams, ShownBackendSchema } from "./schemas.ts";
import { type ConfigWrite, deletes, type Guard, puts } from "./writes.ts";

const ACTIONS: Record<string, { mode: Mode; summary: string }> = {
  drain: { mode: "draining", summary: "No new picks; what is in flight ends by itself" },
  disable: { mode: "disabled", summary: "Out of service until activated" },
  activate: { mode: "active", summary: "Back in service as far as its health allows" },
};

interface OfBackend {
  Params: { pool: string; id: string };
}

export function addBackends(
  server: FastifyInstance,
  view: PoolView,
  change: ChangeConfig,
  guard: Guard,
): void {
  server.put<ConfigWrite & OfBackend>(
    "/v1/pools/:pool/backends/:id",
    puts(guard, "Add or replace a backend", BackendSchema, BackendParams),
    ({ params: { pool, id }, headers, body }) =>
      change.edit(headers["if-match"], (document) =>
        withBackends(document, pool, (backends) => put(backends, "id", id, body)),
      ),
  );

  server.delete<ConfigWrite & OfBackend>(
    "/v1/pools/:pool/backends/:id",
    deletes(guard, "Remove a backend", BackendParams),
    ({ params: { pool, id }, headers }) => {
      const missing = new SchedulerError("unknown_backend", `pool "${pool}" has no backend "${id}"`);
      return change.edit(headers["if-match"], (document) =>
        withBackends(document, pool, (backends) => without(backends, "id", id, missing)),
      );
    },
  );

  for (const [action, { mode, summary }] of Object.entries(ACTIONS)) {
    server.post<OfBackend>(
      `/v1/pools/:pool/backends/:id/${action}`,
      {
        onRequest: guard,
        schema: {
          summary,
          tags: ["modes"],
          params: BackendParams,
          response: answers(ShownBackendSchema, 401, 403, 404),
        },
      },
      ({ params: { pool, id } }) => view.setMode(pool, id, mode),
    );
  }
}

function withBackends(
  document: ConfigDocument,
  name: string,
  edit: (backends: readonly BackendDocument[]) => unknown[],
): unknown {
  if (!document.pools.some((pool) => pool.name === name)) throw unknownPool(name);
  const pools = document.pools.map((pool) =>
    pool.name === name ? { ...pool, backends: edit(pool.backends) } : pool,
  );
  return { ...document, pools };
}
