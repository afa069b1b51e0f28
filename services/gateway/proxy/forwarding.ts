// Where a request came from, told to the backend: X-Forwarded-* and Forwarded (RFC 7239). What the peer says of
// earlier hops is believed only when its address is trusted; from anyone else such headers are replaced or removed.
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { BlockList, isIPv6 } from "node:net";

/** True for a peer whose forwarding headers are believed. */
export type Trust = (address: string) => boolean;

/** @param cidrs valid ones: the configuration was checked */
export function trustPeers(cidrs: readonly string[]): Trust {
  if (cidrs.length === 0) return () => false;
  const networks = new BlockList();
  for (const cidr of cidrs) {
    const slash = cidr.lastIndexOf("/");
    const network = cidr.slice(0, slash);
    networks.addSubnet(network, Number(cidr.slice(slash + 1)), isIPv6(network) ? "ipv6" : "ipv4");
  }
  return (address) => networks.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

export const peerAddress = (request: IncomingMessage): string =>
  plainAddress(request.socket.remoteAddress ?? "unknown");

/** Without the IPv4-in-IPv6 prefix and without a zone. */
export function plainAddress(address: string): string {
  const plain = address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
  const zone = plain.indexOf("%");
  return zone === -1 ? plain : plain.slice(0, zone);
}

/** Fields this file sets itself. */
const OWN: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
]);

/** Whether a field (lower case) of the client is passed on, as far as forwarding is concerned. */
export function mayPass(name: string, trusted: boolean): boolean {
  if (name.includes("_")) return !isForwarding(name.replaceAll("_", "-")); // CGI reads both spellings as one
  return !isForwarding(name) || (trusted && !OWN.has(name));
}

const isForwarding = (name: string): boolean =>
  name === "forwarded" || name === "x-real-ip" || name.startsWith("x-forwarded-");

export interface Hop {
  peer: string;
  /** The Host header, already known to hold nothing that needs escaping inside quotes. */
  authority: string;
  proto: "http";
  /** Port the client connected to. */
  port: number;
}

/** Appends the five fields to `headers`, a flat list of names and values. */
export function addForwarding(
  headers: string[],
  incoming: IncomingHttpHeaders,
  hop: Hop,
  trusted: boolean,
): void {
  const told = (name: string) => (trusted ? (incoming[name] as string | undefined) : undefined);
  const element = `for=${forwardedNode(hop.peer)};host="${hop.authority}";proto=${hop.proto}`;
  headers.push(
    "x-forwarded-for",
    extended(told("x-forwarded-for"), hop.peer),
    "x-forwarded-proto",
    told("x-forwarded-proto") ?? hop.proto,
    "x-forwarded-host",
    told("x-forwarded-host") ?? hop.authority,
    "x-forwarded-port",
    told("x-forwarded-port") ?? String(hop.port),
    "forwarded",
    extended(told("forwarded"), element),
  );
}

const extended = (list: string | undefined, last: string): string => (list ? `${list}, ${last}` : last);

const forwardedNode = (address: string): string => (address.includes(":") ? `"[${address}]"` : address);
