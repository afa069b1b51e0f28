// POST /v1/pools/{pool}/settle: the decision path, one request per gateway and pool in flight.
import { type SettleRequest, SettleRequestSchema } from "@evenkeel/core/wire/settle.ts";
import type { FastifyInstance } from "fastify";
import type { Batcher } from "../batching/batcher.ts";
import { answers, PoolParams, ReplySchema } from "./schemas.ts";
import type { Guard } from "./writes.ts";

/** A full row and outcomes for each of 10 000 backends come to half of this. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

export function addSettle(server: FastifyInstance, batcher: Batcher, guard: Guard | undefined): void {
  server.post<{ Params: { pool: string }; Body: SettleRequest }>(
    "/v1/pools/:pool/settle",
    {
      ...(guard && { onRequest: guard }),
      bodyLimit: BODY_LIMIT_BYTES,
      schema: {
        summary: "State what a gateway has in flight, and ask for backends",
        tags: ["decisions"],
        params: PoolParams,
        body: SettleRequestSchema,
        response: answers(ReplySchema, 401, 404, 413),
      },
    },
    (request) => batcher.settle(request.params.pool, request.body),
  );
}
