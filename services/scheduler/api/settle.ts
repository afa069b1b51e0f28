// POST /v1/pools/{pool}/settle: one settle over plain HTTP, for whoever has no connection for settles (curl).
import { SETTLE_BYTES_MAX } from "@evenkeel/core/wire/frames.ts";
import { type SettleRequest, SettleRequestSchema, type SettleResponse } from "@evenkeel/core/wire/settle.ts";
import type { FastifyInstance } from "fastify";
import type { Batcher } from "../batching/batcher.ts";
import { answers, PoolParams, ReplySchema } from "./schemas.ts";
import type { Guard } from "./writes.ts";

export function addSettle(server: FastifyInstance, batcher: Batcher, guard: Guard | undefined): void {
  server.post<{ Params: { pool: string }; Body: SettleRequest }>(
    "/v1/pools/:pool/settle",
    {
      ...(guard && { onRequest: guard }),
      bodyLimit: SETTLE_BYTES_MAX,
      schema: {
        summary: "State what a gateway has in flight, and ask for backends",
        tags: ["decisions"],
        params: PoolParams,
        body: SettleRequestSchema,
        response: answers(ReplySchema, 401, 404, 413),
      },
    },
    ({ params, body }) =>
      new Promise<SettleResponse | null>((resolve, reject) => {
        batcher.settle(params.pool, body, (error, response) => (error ? reject(error) : resolve(response)));
      }),
  );
}
