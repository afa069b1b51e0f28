// /v1/routes: the routes of the configuration.
import { RouteSchema } from "@evenkeel/core/config/schema.ts";
import type { FastifyInstance } from "fastify";
import { SchedulerError } from "../errors.ts";
import type { ChangeConfig } from "./change.ts";
import { put, without } from "./edits.ts";
import { RouteParams } from "./schemas.ts";
import { type ConfigWrite, deletes, type Guard, puts } from "./writes.ts";

interface OfRoute {
  Params: { name: string };
}

export function addRoutes(server: FastifyInstance, change: ChangeConfig, guard: Guard): void {
  server.put<ConfigWrite & OfRoute>(
    "/v1/routes/:name",
    puts(guard, "Add or replace a route", RouteSchema, RouteParams),
    ({ params: { name }, headers, body }) =>
      change.edit(headers["if-match"], (document) => ({
        ...document,
        routes: put(document.routes, "name", name, body),
      })),
  );

  server.delete<ConfigWrite & OfRoute>(
    "/v1/routes/:name",
    deletes(guard, "Remove a route", RouteParams),
    ({ params: { name }, headers }) => {
      const missing = new SchedulerError("unknown_route", `there is no route "${name}"`);
      return change.edit(headers["if-match"], (document) => ({
        ...document,
        routes: without(document.routes, "name", name, missing),
      }));
    },
  );
}
