// What a schema cannot say of where backends are found.
import { backendFamily, backendScheme } from "./backend-url.ts";
import { SOURCES } from "./discovered.ts";
import { addressFault, canonicalAddress, cidrFault, hostFault } from "./patterns.ts";
import { type Problem, pointer, shown } from "./problem.ts";
import { reckonsDistance } from "./resolve-scheduling.ts";
import { checked, type Draft, entries, type Part, type Rule, readable, unreadable } from "./rule.ts";
import { didYouMean } from "./suggest.ts";

type Pool = Part<"pools">;
type Discovery = NonNullable<Pool["discovery"]>;
type At = (...parts: (string | number)[]) => string;
type DiscoveryRule = (discovery: Discovery, at: At, pool: Pool, draft: Draft) => Iterable<Problem>;

const forEachDiscovery = (rule: DiscoveryRule): Rule =>
  function* (draft) {
    for (const [p, pool] of entries(draft.pools)) {
      const at: At = (...parts) => pointer("pools", p, "discovery", ...parts);
      if (pool.discovery) yield* rule(pool.discovery, at, pool, draft);
    }
  };

export const DISCOVERY_RULES: Record<string, Rule> = {
  someSource: forEachDiscovery(someSource),
  portOfRecords: forEachDiscovery(portOfRecords),
  dnsNames: forEachDiscovery(dnsNames),
  dnsResolvers: forEachDiscovery(dnsResolvers),
  dnsIntervals: forEachDiscovery(dnsIntervals),
  familyOfRecords: forEachDiscovery(familyOfRecords),
  dockerHost: forEachDiscovery(dockerHost),
  allowedNetworks: forEachDiscovery(allowedNetworks),
  defaultsOfFirst: forEachDiscovery(defaultsOfFirst),
  overflowToFound: forEachDiscovery(overflowToFound),
  zoneOfFound: forEachDiscovery(zoneOfFound),
};

function* someSource(discovery: Discovery, at: At) {
  if (SOURCES.some((source) => source in discovery)) return;
  const defaults = "defaults" in discovery ? ", and `defaults` have nothing to fill in" : "";
  yield { path: at(), message: `finds nothing${defaults}; name a source: ${SOURCES.join(", ")}` };
}

function* portOfRecords({ dns }: Discovery, at: At) {
  if (!dns || unreadable(dns, "type")) return;
  if (dns.type === "SRV") {
    if (!("port" in dns)) return;
    yield { path: at("dns", "port"), message: "SRV records bring ports of their own; remove it" };
  } else if (!("port" in dns)) {
    const message = `key "port" is missing: ${dns.type ?? "A"} records name addresses only`;
    yield { path: at("dns", "port"), message };
  }
}

function* dnsNames({ dns }: Discovery, at: At) {
  yield* checked(dns?.name, dnsNameFault, at("dns", "name"));
}

function dnsNameFault(name: string): string | null {
  if (canonicalAddress(name) !== null) return "is an address; name it in `backends`";
  if (name.includes("*")) return "must be one name, without `*`";
  return hostFault(name.replace(/\.$/, ""));
}

function* dnsResolvers({ dns }: Discovery, at: At) {
  for (const [r, resolver] of entries(dns?.resolvers))
    yield* checked(resolver, resolverFault, at("dns", "resolvers", r));
}

/** 10.0.0.53, 10.0.0.53:5353, fd00::53, [fd00::53]:5353 */
function resolverFault(text: string): string | null {
  if (canonicalAddress(text) !== null) return null;
  const [, bracketed, dotted, port] = /^(?:\[(.*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  const host = bracketed ?? dotted ?? text;
  if (addressFault(host) !== null) return "must be an IP address, or address:port, such as 10.0.0.53:53";
  if (port === undefined || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    return null;
  return `port "${port}" is not a whole number from 1 to 65535`;
}

const DEFAULT_MIN_MS = 1_000;
const DEFAULT_MAX_MS = 60_000;

function* dnsIntervals({ dns }: Discovery, at: At) {
  if (!dns || unreadable(dns, "minIntervalMs") || unreadable(dns, "maxIntervalMs")) return;
  const { minIntervalMs = DEFAULT_MIN_MS, maxIntervalMs = DEFAULT_MAX_MS } = dns;
  if (minIntervalMs <= maxIntervalMs) return;
  const key = "minIntervalMs" in dns ? "minIntervalMs" : "maxIntervalMs";
  const message = `minIntervalMs (${minIntervalMs}) is above maxIntervalMs (${maxIntervalMs})`;
  yield { path: at("dns", key), message };
}

function* familyOfRecords({ dns }: Discovery, at: At, { backends }: Pool) {
  if (!dns || unreadable(dns, "scheme")) return;
  const { scheme = "http" } = dns;
  for (const [, { url = "" }] of entries(backends)) {
    const family = backendFamily(url);
    if (family === null) continue;
    if (family === backendFamily(`${scheme}://`)) return;
    const message = `a pool is served by one protocol: its first backend is of ${backendScheme(url)}://, those found would be of ${scheme}://`;
    yield { path: at("dns", "scheme"), message };
    return;
  }
}

function* dockerHost({ docker }: Discovery, at: At) {
  yield* checked(docker?.host, dockerHostFault, at("docker", "host"));
}

function dockerHostFault(host: string): string | null {
  if (host.startsWith("unix://"))
    return /^unix:\/\/\/[^/]/.test(host) ? null : "needs a path from the root: unix:///var/run/docker.sock";
  const scheme = /^[a-z+]+:\/\//i.exec(host)?.[0];
  if (scheme !== "http://") return "must be unix:///path or http://host:port";
  if (!URL.canParse(host)) return "has no valid host and port";
  const { username, port, pathname, search, hash } = new URL(host);
  if (username !== "") return "must not hold credentials";
  if (port === "" && !host.replace(/\/$/, "").endsWith(":80")) return "needs a port: http://host:2375";
  return pathname === "/" && search === "" && hash === "" ? null : "must end after host and port";
}

function* allowedNetworks({ registration }: Discovery, at: At) {
  for (const [a, cidr] of entries(registration?.allow))
    yield* checked(cidr, cidrFault, at("registration", "allow", a));
}

function* defaultsOfFirst(discovery: Discovery, at: At, { policy }: Pool) {
  const { defaults } = discovery;
  if (policy !== "first" || unreadable(discovery, "defaults")) return;
  if (defaults && "maxInflight" in defaults) return;
  const message =
    'key "maxInflight" is missing: with policy first, those after a found backend without it would never serve';
  yield { path: at("defaults", "maxInflight"), message };
}

/** Those found come after all that are configured, the last one of these is not the last any more. */
function* overflowToFound(_discovery: Discovery, _at: At, pool: Pool, { pools }: Draft) {
  if (pool.policy !== "first" || !readable(pool, "backends")) return;
  const last = new Map([...entries(pool.backends)].map(([b, { priority = 0 }]) => [priority, b]));
  for (const b of last.values()) {
    const backend = pool.backends?.[b];
    if (!backend || "maxInflight" in backend) continue;
    const path = pointer("pools", pools?.indexOf(pool) ?? 0, "backends", b, "maxInflight");
    const message = `key "maxInflight" is missing: with policy first, those found after "${backend.id}" would never serve`;
    yield { path, message };
  }
}

/** A zone is told by whoever registers, by a file or by a label; the DNS has no word for it. */
function* zoneOfFound(discovery: Discovery, at: At, pool: Pool, { geography }: Draft) {
  const { defaults, dns } = discovery;
  if (!reckonsDistance(pool) || unreadable(discovery, "defaults")) return;
  const zone = defaults?.zone;
  const path = at("defaults", "zone");
  if (zone === undefined) {
    if (!dns || (defaults && "zone" in defaults)) return;
    const message =
      'key "zone" is missing: the DNS does not tell it, and the pool needs to know where they stand';
    yield { path, message };
    return;
  }
  const known = geography?.zones?.map((one) => one?.name);
  if (!known?.every((name) => name !== undefined) || known.includes(zone)) return;
  yield { path, message: `\`geography\` has no zone ${shown(zone)}${didYouMean(zone, known)}` };
}
