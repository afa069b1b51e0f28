// GET /v1/settle with an upgrade: where a gateway opens its one connection for the settles of all pools. Whatever
// cannot be upgraded (another protocol, no token, a scheduler that stops) is answered as the HTTP request it is.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { SETTLE_PATH, SETTLE_PROTOCOL } from "@evenkeel/core/wire/frames.ts";
import { tokenCheck } from "@evenkeel/runtime/admin-server.ts";
import type { FastifyInstance } from "fastify";
import type { Batcher } from "../batching/batcher.ts";
import { SchedulerError } from "../errors.ts";
import { ErrorSchema } from "./schemas.ts";
import { type SettleConnection, serveSettles } from "./settle-connection.ts";
import type { Guard } from "./writes.ts";

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${SETTLE_PROTOCOL}\r\n\r\n`;

export interface SettleUpgrades {
  accepts(request: IncomingMessage): boolean;
  attach(server: FastifyInstance, guard: Guard | undefined): void;
  /** Takes no new connections, and asks the gateways to leave those there are. */
  close(): void;
  destroy(): void;
}

/** @param token without one settles are taken from anywhere */
export function createSettleUpgrades({
  batcher,
  token,
}: {
  batcher: Batcher;
  token: string;
}): SettleUpgrades {
  const connections = new Set<SettleConnection>();
  const shows = token === "" ? () => true : tokenCheck(token);
  let closing = false;

  const open = (_request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.write(SWITCHING);
    const onEnd = () => connections.delete(connection);
    const connection = serveSettles({ socket, head, batcher, onEnd });
    connections.add(connection);
    if (closing) connection.close();
  };

  return {
    accepts: ({ url, headers }) =>
      !closing &&
      url === SETTLE_PATH &&
      headers.upgrade?.toLowerCase() === SETTLE_PROTOCOL &&
      shows(headers.authorization),
    attach(server, guard) {
      server.server.on("upgrade", open);
      server.get(
        SETTLE_PATH,
        {
          ...(guard && { onRequest: guard }),
          schema: {
            summary: "Open a gateway's connection for settles (HTTP upgrade)",
            description: `Needs \`upgrade: ${SETTLE_PROTOCOL}\`. Without a gateway at hand, use POST /v1/pools/{pool}/settle.`,
            tags: ["decisions"],
            response: { 401: ErrorSchema, 426: ErrorSchema, 503: ErrorSchema },
          },
        },
        (request, reply) => {
          const asked = request.headers.upgrade ?? "none";
          reply.headers({ upgrade: SETTLE_PROTOCOL, connection: "Upgrade" });
          throw new SchedulerError(
            "upgrade_required",
            `this scheduler speaks ${SETTLE_PROTOCOL}, asked for was: ${asked}`,
          );
        },
      );
    },
    close() {
      closing = true;
      for (const connection of connections) connection.close();
    },
    destroy() {
      for (const connection of connections) connection.destroy();
    },
  };
}
