// Whether a client may come from where it comes. IPv4 addresses written as IPv6 ones are IPv4 addresses.
import type { NetworkAccess } from "@evenkeel/core/config/resolve-access.ts";
import { createNetworks } from "@evenkeel/core/network/networks.ts";

const HERE = true;

/**
 * `deny` wins; with `allow` all others are refused. What is no address is in no network, so it is refused wherever
 * there are any.
 * @param access null: everybody may
 */
export function compileNetworks(access: NetworkAccess | null): (address: string) => boolean {
  if (access === null || (access.allow === null && access.deny.length === 0)) return () => true;
  const entries = (cidrs: readonly string[]) => cidrs.map((cidr) => ({ cidr, value: HERE }));
  const allowed = createNetworks(entries(access.allow ?? ["0.0.0.0/0", "::/0"]));
  if (access.deny.length === 0) return (address) => allowed.find(address) !== null;
  const denied = createNetworks(entries(access.deny));
  return (address) => denied.find(address) === null && allowed.find(address) !== null;
}
