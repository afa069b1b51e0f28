// /v1/notifications/dead: notifications that their receivers did not take. Health-monitors send them; here they are
// shown, removed, and handed back to be sent again.
import { DEAD_LETTERS_MAX, type DeadLetterStore } from "@evenkeel/ledger/dead-letters.ts";
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import { SchedulerError, viaRedis } from "../errors.ts";
import { answers, DeadLettersSchema } from "./schemas.ts";
import type { Guard } from "./writes.ts";

const LISTED = 100;

const LetterParams = Type.Object({
  id: Type.String({ pattern: "^([0-9]{1,20}-[0-9]{1,20}|all)$", description: "Of a dead letter, or `all`" }),
});
const ListQuery = Type.Object(
  {
    limit: Type.Optional(Type.String({ pattern: "^[0-9]{1,4}$", description: `At most so many; ${LISTED}` })),
  },
  { additionalProperties: false },
);
const CountSchema = Type.Object({ count: Type.Integer({ description: "Of letters this concerned" }) });

interface OfLetter {
  Params: { id: string };
}

export function addNotifications(server: FastifyInstance, store: DeadLetterStore, guard: Guard): void {
  const acting = (summary: string) => ({
    onRequest: guard,
    schema: {
      summary,
      tags: ["notifications"],
      params: LetterParams,
      response: answers(CountSchema, 401, 403, 404),
    },
  });
  const act = async (id: string, how: (id: string | null) => Promise<number>) => {
    const count = await viaRedis(how(id === "all" ? null : id));
    if (count > 0 || id === "all") return { count };
    throw new SchedulerError("unknown_letter", `there is no dead letter ${id}`);
  };

  server.get<{ Querystring: { limit?: string } }>(
    "/v1/notifications/dead",
    {
      schema: {
        summary: "Notifications that nobody took, the newest first",
        tags: ["notifications"],
        querystring: ListQuery,
        response: answers(DeadLettersSchema),
      },
    },
    ({ query: { limit = LISTED } }) =>
      viaRedis(store.list(Math.min(DEAD_LETTERS_MAX, Math.max(1, Number(limit))))),
  );
  server.post<OfLetter>(
    "/v1/notifications/dead/:id/retry",
    acting("Send a dead letter, or all, again"),
    ({ params }) => act(params.id, store.retry),
  );
  server.delete<OfLetter>(
    "/v1/notifications/dead/:id",
    acting("Remove a dead letter, or all"),
    ({ params }) => act(params.id, store.remove),
  );
}
