// What all routes that change the configuration have in common.
import type { onRequestAsyncHookHandler } from "fastify";
import type { TSchema } from "typebox";
import { answers, ChangedSchema, IfMatchHeader } from "./schemas.ts";

export type Guard = onRequestAsyncHookHandler;

export interface ConfigWrite {
  Headers: { "if-match"?: string };
}

const schema = (summary: string, params?: TSchema, body?: TSchema) => ({
  summary,
  tags: ["configuration"],
  headers: IfMatchHeader,
  ...(params && { params }),
  ...(body && { body }),
  response: answers(ChangedSchema, 401, 403, 404, 409, 412),
});

/** The body's schema is for the OpenAPI document only: the whole configuration is judged, with all its faults. */
export const puts = (guard: Guard, summary: string, body: TSchema, params?: TSchema) => ({
  onRequest: guard,
  schema: schema(summary, params, body),
  validatorCompiler: () => () => true,
});

export const deletes = (guard: Guard, summary: string, params: TSchema) => ({
  onRequest: guard,
  schema: schema(summary, params),
});
