// The admin port every service has: /healthz (the process lives), /readyz (send it work), /metrics (Prometheus).
import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import { type Environment, integer } from "./environment.ts";

/** Largest body any admin endpoint reads. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

export interface AdminOptions {
  /** Its metrics may be those of several processes. */
  registry: Pick<Registry, "contentType" | "metrics">;
  /** Null when ready, else the reason it is not. */
  notReady: () => string | null;
  /** Which requests the server's `upgrade` event gets; the others are answered as if they had not asked for one. */
  upgrades?: (request: IncomingMessage) => boolean;
}

export function createAdminServer({ registry, notReady, upgrades }: AdminOptions): FastifyInstance {
  const server = Fastify({
    http: { shouldUpgradeCallback: upgrades ?? (() => false) },
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: false } },
  });
  server.get("/healthz", { schema: { hide: true } as object }, async () => ({ status: "ok" }));
  server.get("/readyz", { schema: { hide: true } as object }, async (_request, reply) => {
    const reason = notReady();
    if (reason === null) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", reason });
  });
  server.get("/metrics", { schema: { hide: true } as object }, async (_request, reply) => {
    reply.header("content-type", registry.contentType);
    return registry.metrics();
  });
  return server;
}

/** Listens as EVENKEEL_ADMIN_* say; answers the URL under which others reach it. @throws when it cannot */
export async function listenAdmin(server: FastifyInstance, environment: Environment): Promise<string> {
  const { EVENKEEL_ADMIN_ADDRESS: host, EVENKEEL_ADVERTISE_HOST: advertised } = environment;
  await server.listen({ host, port: integer(environment, "EVENKEEL_ADMIN_PORT", 0, 65_535) });
  const { port } = server.server.address() as AddressInfo;
  return `http://${advertisedHost(advertised, host)}:${port}`;
}

/**
 * Who may call what changes the cluster: with a token, whoever shows it; without one, loopback only.
 * @param tokens any of them will do; those that are empty are not set
 */
export function requireToken(...tokens: string[]) {
  const checks = tokens.filter((token) => token !== "").map(tokenCheck);
  return async (request: FastifyRequest, reply: FastifyReply) => {
    if (checks.length === 0) {
      if (isLoopback(request.socket.remoteAddress) && !isFromAPage(request.headers)) return;
      return reply
        .code(403)
        .send({ error: "set EVENKEEL_TOKEN to allow changes from other machines and from web pages" });
    }
    if (checks.some((shows) => shows(request.headers.authorization))) return;
    return reply
      .code(401)
      .send({ error: "a valid `authorization: Bearer` token is needed (EVENKEEL_TOKEN)" });
  };
}

/**
 * A browser on this machine runs pages of anyone: it says so in `origin`, and where such a page's own name was made to
 * lead here (DNS rebinding), in `host`.
 */
const isFromAPage = ({ origin, host = "" }: IncomingHttpHeaders): boolean =>
  origin !== undefined || !/^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);

/** Whether an `authorization` header shows the token. Compared in constant time. */
export function tokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = Buffer.from(`Bearer ${token}`);
  return (authorization = "") => {
    const given = Buffer.from(authorization);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
}

export function isLoopback(address: string | undefined): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address ?? "");
}

const inUrl = (host: string) => (host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);

/** The host others reach this machine by, for a server bound to `address`. */
function advertisedHost(configured: string, address: string): string {
  if (configured !== "") return inUrl(configured);
  if (address !== "0.0.0.0" && address !== "::") return inUrl(address);
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((face) => face?.family === "IPv4" && !face.internal);
  return outside?.address ?? "127.0.0.1";
}
