// /v1/config: the applied configuration as a whole, as it was written.
import { ConfigSchema } from "@evenkeel/core/config/schema.ts";
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import type { ChangeConfig } from "./change.ts";
import { answers } from "./schemas.ts";
import { type ConfigWrite, type Guard, puts } from "./writes.ts";

/** Without its `$id`: inside the OpenAPI document a relative name would resolve against it. */
const Document = Type.Object(ConfigSchema.properties, { additionalProperties: false });

export function addConfig(server: FastifyInstance, change: ChangeConfig, guard: Guard): void {
  server.get(
    "/v1/config",
    {
      schema: {
        summary: "The applied configuration and its version",
        tags: ["configuration"],
        response: answers(Type.Object({ version: Type.Integer(), document: Document }), 404),
      },
    },
    async (_request, reply) => {
      const { documentVersion, written } = await change.read();
      reply.header("etag", `"${documentVersion}"`);
      return { version: documentVersion, document: written };
    },
  );

  server.put<ConfigWrite>(
    "/v1/config",
    puts(guard, "Replace the whole configuration", Document),
    ({ headers, body }) => change.replace(headers["if-match"], body),
  );
}
