// All that is below HTTP as one thing: what opens its listeners, and what a configuration means to them. Connections and
// sessions that are open keep the route and the pool they began with.
import type { Config, Route } from "@evenkeel/core/config/resolve.ts";
import { compileNetworks } from "../access/networks.ts";
import type { Opener } from "../listeners/opened.ts";
import type { Arrival } from "../proxy/arrival.ts";
import type { Destination } from "../proxy/destinations.ts";
import type { RouteRules } from "../proxy/route-rules.ts";
import { compileStreamRoutes, type StreamRouter } from "./stream-router.ts";
import type { StreamDestination, StreamSurroundings } from "./surroundings.ts";
import { createTcpOpener, type TcpOptions } from "./tcp.ts";
import { createUdpOpener } from "./udp.ts";

export interface Streams {
  /** Of tcp and tls listeners. */
  openTcp: Opener;
  openUdp: Opener;
  /** From the next connection or session on. @param rulesOf what its routes mean to the data path */
  configure(config: Config, rulesOf: (route: Route) => RouteRules | null): void;
}

export type StreamsOptions = Pick<StreamSurroundings, "scheduling" | "report" | "retries" | "clock"> &
  Pick<TcpOptions, "bind" | "openTls">;

/** What one configuration means. */
interface StreamRules {
  /** By listener. */
  routers: ReadonlyMap<string, StreamRouter<Route>>;
  allowed: ReadonlyMap<Route, (address: string) => boolean>;
  rulesOf: (route: Route) => RouteRules | null;
}

export function createStreams({ bind, openTls, ...shared }: StreamsOptions): Streams {
  let rules: StreamRules = {
    routers: new Map(),
    allowed: new Map(),
    rulesOf: () => null,
  };
  const around: StreamSurroundings = {
    ...shared,
    route: (listener, sni, client) => rules.routers.get(listener)?.(sni, client) ?? null,
    allowed: (route, client) => rules.allowed.get(route)?.(client) ?? false,
    destination: (route, arrival) => destinationOf(rules, route, arrival),
  };
  return {
    openTcp: createTcpOpener({ around, bind, openTls }),
    openUdp: createUdpOpener(around),
    configure(config, rulesOf) {
      rules = compileStreamRules(config, rulesOf);
      shared.report.keep(new Set(config.listeners.filter(isBelowHttp).map(({ name }) => name)));
    },
  };
}

const isBelowHttp = ({ protocol }: Config["listeners"][number]): boolean => protocol !== "http";

function compileStreamRules(config: Config, rulesOf: StreamRules["rulesOf"]): StreamRules {
  const below = new Set(config.listeners.filter(isBelowHttp).map(({ name }) => name));
  const routes = config.routes.filter(({ match }) => match.listener !== null && below.has(match.listener));
  return {
    routers: new Map([...below].map((name) => [name, compileStreamRoutes(routes, name)])),
    allowed: new Map(routes.map((route) => [route, compileNetworks(route.access)])),
    rulesOf,
  };
}

function destinationOf({ rulesOf }: StreamRules, route: Route, arrival: Arrival): StreamDestination | null {
  const rules = rulesOf(route);
  if (rules === null || rules.reply !== null) return null;
  const destination = rules.destination(arrival);
  return destination && streamDestination(destination, arrival);
}

function streamDestination({ pool, held, prefer, next }: Destination, arrival: Arrival): StreamDestination {
  const asked = held === null ? (pool.ask?.(arrival) ?? null) : null;
  const want = asked && prefer ? { ...asked, ...prefer } : (asked ?? prefer);
  const { settings, budget, breakers } = pool;
  const after = next && (() => followed(next(), arrival));
  return { pool: settings, budget, breakers, want, held, next: after };
}

const followed = (next: Destination | null, arrival: Arrival): StreamDestination | null =>
  next && streamDestination(next, arrival);
