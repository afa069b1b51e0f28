// /v1/pools: the state of pools, and the pools of the configuration.
import { PoolSchema } from "@evenkeel/core/config/schema.ts";
import type { FastifyInstance } from "fastify";
import { unknownPool } from "../errors.ts";
import type { ChangeConfig } from "./change.ts";
import { put, without } from "./edits.ts";
import type { PoolView } from "./pool-view.ts";
import { answers, PoolListSchema, PoolParams, RowsQuery, ShownPoolSchema } from "./schemas.ts";
import { type ConfigWrite, deletes, type Guard, puts } from "./writes.ts";

export function addPools(server: FastifyInstance, view: PoolView, change: ChangeConfig, guard: Guard): void {
  server.get(
    "/v1/pools",
    { schema: { summary: "All pools", tags: ["state"], response: answers(PoolListSchema) } },
    async () => ({ pools: await view.list() }),
  );

  server.get<{ Params: { pool: string }; Querystring: { rows?: "true" | "false" } }>(
    "/v1/pools/:pool",
    {
      schema: {
        summary: "A pool and its backends",
        tags: ["state"],
        params: PoolParams,
        querystring: RowsQuery,
        response: answers(ShownPoolSchema, 404),
      },
    },
    async ({ params, query }) => {
      const state = await view.read(params.pool);
      return query.rows === "true" ? { ...state, rows: await view.rows(params.pool) } : state;
    },
  );

  server.put<ConfigWrite & { Params: { pool: string } }>(
    "/v1/pools/:pool",
    puts(guard, "Add or replace a pool", PoolSchema, PoolParams),
    ({ params: { pool }, headers, body }) =>
      change.edit(headers["if-match"], (document) => ({
        ...document,
        pools: put(document.pools, "name", pool, body),
      })),
  );

  server.delete<ConfigWrite & { Params: { pool: string } }>(
    "/v1/pools/:pool",
    deletes(guard, "Remove a pool that no route leads to", PoolParams),
    ({ params: { pool }, headers }) =>
      change.edit(headers["if-match"], (document) => ({
        ...document,
        pools: without(document.pools, "name", pool, unknownPool(pool)),
      })),
  );
}
