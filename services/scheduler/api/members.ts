// GET /v1/members: every process of the cluster that is alive.
import type { Member } from "@evenkeel/core/wire/member.ts";
import type { FastifyInstance } from "fastify";
import { viaRedis } from "../errors.ts";
import { answers, MemberListSchema } from "./schemas.ts";

export function addMembers(server: FastifyInstance, readMembers: () => Promise<Member[]>): void {
  server.get(
    "/v1/members",
    { schema: { summary: "Processes alive", tags: ["state"], response: answers(MemberListSchema) } },
    async () => ({ members: await viaRedis(readMembers()) }),
  );
}
