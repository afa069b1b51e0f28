// What a schema cannot say of listeners below HTTP: that their options belong to their protocol.
import { backendFamily } from "./backend-url.ts";
import { cidrFault } from "./patterns.ts";
import { pointer } from "./problem.ts";
import { checked, type Draft, entries, type Rule } from "./rule.ts";
import { protocolsOf } from "./rules-matching.ts";

export const STREAM_RULES: Record<string, Rule> = {
  optionsOfProtocol,
  hellosAreRead,
  proxyProtocolNetworks,
  optionsOfRequests,
  poolsWithoutRequests,
};

/** Each option with the protocols it has a meaning for, and what to do elsewhere. */
const OPTIONS = [
  {
    key: "proxyProtocol",
    protocols: ["http", "tcp", "tls"],
    advice: "it is a header of connections; remove it",
  },
  {
    key: "streams",
    protocols: ["tcp", "tls"],
    advice: "it bounds connections of tcp and tls; remove it, or use `datagrams` for udp, `limits` for http",
  },
  { key: "datagrams", protocols: ["udp"], advice: "it bounds sessions of udp; remove it" },
] as const;

function* optionsOfProtocol({ listeners }: Draft) {
  for (const [l, listener] of entries(listeners)) {
    const { protocol } = listener;
    if (protocol === undefined) continue;
    for (const { key, protocols, advice } of OPTIONS) {
      if (!(key in listener) || (protocols as readonly string[]).includes(protocol)) continue;
      yield {
        path: pointer("listeners", l, key),
        message: `has no meaning with protocol ${protocol}: ${advice}`,
      };
    }
  }
}

function* hellosAreRead({ listeners }: Draft) {
  for (const [l, { protocol, streams }] of entries(listeners)) {
    if (protocol !== "tcp" || !streams || !("helloTimeoutMs" in streams)) continue;
    const message = "only a tls listener waits for a ClientHello; remove it";
    yield { path: pointer("listeners", l, "streams", "helloTimeoutMs"), message };
  }
}

function* proxyProtocolNetworks({ listeners }: Draft) {
  for (const [l, { proxyProtocol }] of entries(listeners)) {
    for (const [t, cidr] of entries(proxyProtocol?.trusted)) {
      yield* checked(cidr, cidrFault, pointer("listeners", l, "proxyProtocol", "trusted", t));
    }
  }
}

/** Of a route: what only requests have, and where its like is for connections. */
const OF_REQUESTS = [
  { key: "timeouts", advice: "silence is bounded by `streams.idleMs` or `datagrams.idleMs` of the listener" },
  { key: "maxBodyBytes", advice: "bytes have no bodies" },
  { key: "retryStatuses", advice: "bytes have no status" },
] as const;

function* optionsOfRequests(draft: Draft) {
  const protocolOf = protocolsOf(draft);
  for (const [r, route] of entries(draft.routes)) {
    const protocol = protocolOf(route);
    if (protocol === null || protocol === "http") continue;
    for (const { key, advice } of OF_REQUESTS) {
      if (!(key in route)) continue;
      const message = `has no meaning on ${protocol} listener "${route.match?.listener}": ${advice}; remove it`;
      yield { path: pointer("routes", r, key), message };
    }
  }
}

/** A connection has no header, cookie or path that a pool could go by. */
function* poolsWithoutRequests({ pools }: Draft) {
  for (const [p, { backends, hash, affinity }] of entries(pools)) {
    const url = entries(backends).next().value?.[1].url;
    const family = url === undefined ? null : backendFamily(url);
    if (family === null || family === "http") continue;
    const what = `backends of ${family}:// serve no requests`;
    if (hash?.key !== undefined && hash.key !== "address") {
      const message = `${what}, so there is no ${hash.key} to hash; use key: address`;
      yield { path: pointer("pools", p, "hash", "key"), message };
    }
    if (affinity !== undefined) {
      const message = `${what}, so there is no cookie; use policy: hash with key: address`;
      yield { path: pointer("pools", p, "affinity"), message };
    }
  }
}
