// Where a request came from, told to the backend: X-Forwarded-*, Forwarded (RFC 7239) and Via. What the peer says of
// earlier hops is believed only when its address is trusted; from anyone else such headers are replaced or removed.
import { BlockList, isIPv6 } from "node:net";
import { remember } from "../asking/remember.ts";
import { addField, type Fields, listOf } from "../messages/fields.ts";
import type { ClientConnection } from "../messages/incoming.ts";

/** True for a peer whose forwarding headers are believed. */
export type Trust = (address: string) => boolean;

/** Peers whose trust is remembered. */
const PEERS_REMEMBERED = 1_000;

/** @param cidrs valid ones: the configuration was checked */
export function trustPeers(cidrs: readonly string[]): Trust {
  if (cidrs.length === 0) return () => false;
  const networks = new BlockList();
  for (const cidr of cidrs) {
    const slash = cidr.lastIndexOf("/");
    const network = cidr.slice(0, slash);
    networks.addSubnet(network, Number(cidr.slice(slash + 1)), isIPv6(network) ? "ipv6" : "ipv4");
  }
  return remember(PEERS_REMEMBERED, (address: string) =>
    networks.check(address, isIPv6(address) ? "ipv6" : "ipv4"),
  );
}

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

/**
 * Appends the five fields.
 * @param incoming the client's
 * @param authority the Host header, already known to hold nothing that needs escaping inside quotes
 */
export function addForwarding(
  fields: Fields,
  incoming: Fields,
  { peer, localPort, tls }: ClientConnection,
  authority: string,
  trusted: boolean,
): void {
  const proto = tls === null ? "http" : "https";
  const element = `for=${forwardedNode(peer)};host="${authority}";proto=${proto}`;
  if (!trusted) {
    addField(fields, "x-forwarded-for", peer);
    addField(fields, "x-forwarded-proto", proto);
    addField(fields, "x-forwarded-host", authority);
    addField(fields, "x-forwarded-port", String(localPort));
    addField(fields, "forwarded", element);
    return;
  }
  addField(fields, "x-forwarded-for", extended(listOf(incoming, "x-forwarded-for"), peer));
  addField(fields, "x-forwarded-proto", listOf(incoming, "x-forwarded-proto") ?? proto);
  addField(fields, "x-forwarded-host", listOf(incoming, "x-forwarded-host") ?? authority);
  addField(fields, "x-forwarded-port", listOf(incoming, "x-forwarded-port") ?? String(localPort));
  addField(fields, "forwarded", extended(listOf(incoming, "forwarded"), element));
}

const extended = (list: string | undefined, last: string): string => (list ? `${list}, ${last}` : last);

const forwardedNode = (address: string): string => (address.includes(":") ? `"[${address}]"` : address);
