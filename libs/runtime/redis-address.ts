// What EVENKEEL_REDIS_URL may say and what it means: one server, the master that sentinels watch, or a Redis Cluster.
// Faults never repeat any part of the address, which may hold a password.
import { isIPv6 } from "node:net";

const SERVER_PORT = 6_379;
const SENTINEL_PORT = 26_379;
const LAST_PORT = 65_535;

export interface Endpoint {
  host: string;
  port: number;
}

interface Anywhere {
  /** At least one. */
  endpoints: Endpoint[];
  /** Certificates are verified. */
  tls: boolean;
  username: string | null;
  password: string | null;
}

export type RedisAddress =
  | (Anywhere & { kind: "server"; db: number })
  /** `endpoints` are the sentinels'; user and password are the master's. */
  | (Anywhere & {
      kind: "sentinel";
      master: string;
      db: number;
      sentinelUsername: string | null;
      sentinelPassword: string | null;
    })
  /** `endpoints` are where to ask for all others. */
  | (Anywhere & { kind: "cluster" });

/** Its message continues a sentence that begins with the name of the setting. */
export class RedisAddressError extends Error {
  override name = "RedisAddressError";
}

/** What is wrong with an address, null when nothing is. */
export function redisAddressFault(url: string): string | null {
  try {
    parseRedisAddress(url);
    return null;
  } catch (error) {
    if (error instanceof RedisAddressError) return error.message;
    throw error;
  }
}

const refuse = (fault: string): never => {
  throw new RedisAddressError(fault);
};

const SCHEME = /^redis(s?)(\+sentinel|\+cluster|):\/\//;
/** User and password up to the last @, hosts, path, query. */
const REST = /^(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;

/** @throws RedisAddressError */
export function parseRedisAddress(url: string): RedisAddress {
  const scheme = SCHEME.exec(url);
  if (!scheme)
    return refuse("must begin with redis://, redis+sentinel:// or redis+cluster:// (rediss… for TLS)");
  const rest = REST.exec(url.slice(scheme[0].length));
  if (!rest) return refuse("is no address; special characters of a password must be percent-encoded");
  const [, userInfo, hosts = "", path = "", query = ""] = rest;
  const tls = scheme[1] === "s";
  const parameters = new URLSearchParams(query.replaceAll("+", "%2B")); // a plus is a plus, as in the user info
  switch (scheme[2]) {
    case "+sentinel": {
      const place = { endpoints: endpointsOf(hosts, SENTINEL_PORT), tls, ...credentialsOf(userInfo) };
      return { kind: "sentinel", ...place, ...masterOf(path), ...sentinelCredentialsOf(parameters) };
    }
    case "+cluster": {
      allowParameters(parameters, []);
      if (path !== "" && path !== "0") refuse("may name no database: a Redis Cluster has only one");
      return { kind: "cluster", endpoints: endpointsOf(hosts, SERVER_PORT), tls, ...credentialsOf(userInfo) };
    }
    default: {
      allowParameters(parameters, []);
      const endpoints = endpointsOf(hosts, SERVER_PORT);
      if (endpoints.length > 1)
        refuse("names several servers: begin with redis+sentinel:// or redis+cluster://");
      return { kind: "server", endpoints, tls, ...credentialsOf(userInfo), db: databaseOf(path) };
    }
  }
}

function credentialsOf(userInfo: string | undefined): Pick<Anywhere, "username" | "password"> {
  if (userInfo === undefined) return { username: null, password: null };
  const colon = userInfo.indexOf(":");
  if (colon < 0) return refuse("must have user and password as user:password@, or :password@");
  return {
    username: decoded(userInfo.slice(0, colon)) || null,
    password: decoded(userInfo.slice(colon + 1)) || null,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse("must have special characters of user and password percent-encoded");
  }
}

/** `host`, `host:port`, `[IPv6]` or `[IPv6]:port`. */
const ENDPOINT = /^(?:\[([^\]]*)\]|([\w.-]+))(?::(\d{1,5}))?$/;

const endpointsOf = (hosts: string, defaultPort: number): Endpoint[] =>
  hosts.split(",").map((text) => {
    const found = ENDPOINT.exec(text.trim());
    const [, address, name, port = String(defaultPort)] = found ?? [];
    const host = address ?? name;
    const usable = address === undefined || isIPv6(address);
    if (!host || !usable)
      return refuse("must have host or host:port behind the //, several separated by commas");
    if (Number(port) < 1 || Number(port) > LAST_PORT) refuse(`must have ports from 1 to ${LAST_PORT}`);
    return { host, port: Number(port) };
  });

/** Sentinel itself allows these characters only. */
const MASTER = /^([\w.-]+)(?:\/(.*))?$/;

function masterOf(path: string): { master: string; db: number } {
  const found = MASTER.exec(path);
  if (!found)
    return refuse("must name the master that the sentinels watch: redis+sentinel://host:port/master");
  return { master: found[1] as string, db: databaseOf(found[2] ?? "") };
}

function databaseOf(path: string): number {
  if (!/^\d{0,5}$/.test(path)) refuse("must have a whole number as database");
  return Number(path);
}

function sentinelCredentialsOf(parameters: URLSearchParams) {
  allowParameters(parameters, ["sentinelUsername", "sentinelPassword"]);
  return {
    sentinelUsername: parameters.get("sentinelUsername"),
    sentinelPassword: parameters.get("sentinelPassword"),
  };
}

function allowParameters(parameters: URLSearchParams, names: readonly string[]): void {
  if (parameters.keys().every((name) => names.includes(name))) return;
  refuse(`may have ${names.length > 0 ? `only ${names.join(" and ")}` : "nothing"} behind a question mark`);
}
