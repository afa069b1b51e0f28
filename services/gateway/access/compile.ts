// From the configuration of a route to the rows its requests go through. The order is that of cost, cheapest first, so
// that whoever is refused costs little: networks and certificates need a look at the connection; the limit by client or
// route comes before every check that could be used to guess secrets or to keep this process busy; then credentials, by
// what verifying one costs: a digest, scrypt that is remembered, a signature; then what asks another service. The limit
// by consumer can only come when it is known who that is.
import { hash } from "node:crypto";
import type { Config, Route } from "@evenkeel/core/config/resolve.ts";
import type { Access as AccessConfig } from "@evenkeel/core/config/resolve-access.ts";
import type { Access } from "./access.ts";
import { compileApiKeys } from "./api-keys.ts";
import { compileBasic } from "./basic.ts";
import { compileCertificate } from "./certificate.ts";
import { forbidden } from "./credentials.ts";
import { compileForwardAuth } from "./forward-auth.ts";
import { compileJwt } from "./jwt.ts";
import { compileNetworks } from "./networks.ts";
import { compileRateLimit } from "./rate-limit.ts";
import type { AccessServices } from "./services.ts";
import { type Plan, type Row, Turn } from "./turn.ts";

type GuardedRoute = Pick<Route, "name" | "access" | "rateLimit">;
type Compile = (route: GuardedRoute, services: AccessServices) => Row | null;

const NO_ACCESS: AccessConfig = {
  ...{ allow: null, deny: [], clientCertificate: null, apiKeys: null, basic: null, jwt: null },
  ...{ forwardAuth: null, consumerHeader: null },
};

const ORDER: readonly Compile[] = [
  networks,
  ({ access }) => (access?.clientCertificate ? compileCertificate(access.clientCertificate) : null),
  (route, services) => (route.rateLimit?.key === "consumer" ? null : rateLimit(route, services)),
  ({ access }) => (access?.apiKeys ? compileApiKeys(access.apiKeys) : null),
  basic,
  jwt,
  forwardAuth,
  (route, services) => (route.rateLimit?.key === "consumer" ? rateLimit(route, services) : null),
];

/** Null: the route has none, and its requests need not ask. */
export function compileAccess(route: GuardedRoute, services: AccessServices): Access | null {
  const rows = ORDER.map((compile) => compile(route, services)).filter((row) => row !== null);
  if (rows.length === 0) return null;
  const { metrics, log } = services;
  const access = route.access ?? NO_ACCESS;
  const names = removedBy(access);
  const plan: Plan = {
    rows,
    remove: [...new Set(names.flatMap((name) => [name, dashed(name)]))],
    removed: new Set(names.map(dashed)),
    consumerHeader: access.consumerHeader,
    onRefused: metrics.refused,
    onFault(row, error) {
      log.error({ route: route.name, check: row, reason: (error as Error).message }, "access check failed");
    },
  };
  return { check: (request, done) => new Turn(plan, request, done).run() };
}

/** What the services need no longer keep is dropped. */
export function keepServices({ routes }: Pick<Config, "routes">, services: AccessServices): void {
  const present = <T>(values: (T | undefined)[]) => values.filter((value) => value !== undefined);
  services.keep(
    present(routes.map(({ access }) => access?.jwt?.source)),
    present(routes.map(({ access }) => access?.forwardAuth?.url)),
  );
}

const dashed = (name: string): string => name.replaceAll("_", "-");

function removedBy({ apiKeys, basic, jwt, forwardAuth, consumerHeader }: AccessConfig): string[] {
  const names: string[] = [];
  if (apiKeys && !apiKeys.forward) names.push(apiKeys.header);
  if (basic && !basic.forward) names.push("authorization");
  if (jwt && !jwt.forward) names.push(jwt.header);
  for (const { header } of jwt?.claimsToHeaders ?? []) names.push(header);
  names.push(...(forwardAuth?.responseHeaders ?? []));
  if (consumerHeader !== null) names.push(consumerHeader);
  return names;
}

const NOT_FROM_HERE = forbidden("Requests from this address are not allowed here");

function networks({ access }: GuardedRoute): Row | null {
  if (!access || (access.allow === null && access.deny.length === 0)) return null;
  const welcome = compileNetworks(access);
  return {
    name: "network",
    check: ({ request }) => (welcome(request.client) ? null : NOT_FROM_HERE),
  };
}

function rateLimit(
  { name, rateLimit: limit }: GuardedRoute,
  { prefix, limiter }: AccessServices,
): Row | null {
  return limit ? compileRateLimit(name, limit, prefix, limiter) : null;
}

function basic({ access }: GuardedRoute, { passwords, metrics }: AccessServices): Row | null {
  return access?.basic ? compileBasic(access.basic, passwords, () => metrics.unavailable("basic")) : null;
}

function jwt({ access }: GuardedRoute, services: AccessServices): Row | null {
  const config = access?.jwt;
  if (!config) return null;
  const { tokens: cache, clock, now, metrics } = services;
  return compileJwt(config, {
    keys: services.keySource(config.source),
    // What was verified by other rules says nothing here; by the same ones it does, in any version and any route.
    id: hash("sha256", JSON.stringify(config), "base64"),
    ...{ cache, clock, now },
    onUnavailable: () => metrics.unavailable("jwt"),
  });
}

function forwardAuth({ access }: GuardedRoute, services: AccessServices): Row | null {
  const config = access?.forwardAuth;
  if (!config) return null;
  const { subrequests, metrics } = services;
  return compileForwardAuth(config, {
    subrequests,
    outage: services.outageOf(config.url),
    onUnavailable: () => metrics.unavailable("forward-auth"),
    onFailedOpen: () => metrics.failedOpen("forward-auth"),
  });
}
