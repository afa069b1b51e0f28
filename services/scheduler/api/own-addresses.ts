// Where the cluster itself answers: a backend there would have a gateway send its requests to itself, for ever, or open
// the admin ports to its clients.
import type { BackendAddress } from "@evenkeel/core/config/backend-url.ts";
import type { ConfigDocument, ListenerDocument } from "@evenkeel/core/config/schema.ts";
import { createNetworks, parseAddress } from "@evenkeel/core/network/networks.ts";
import type { Member } from "@evenkeel/core/wire/member.ts";

const LOOPBACK = createNetworks(["127.0.0.0/8", "::1/128"].map((cidr) => ({ cidr, value: true })));

interface Announced {
  member: Member;
  host: string;
  port: number;
}

/** Why no backend may be there; null: the cluster is not. @param address of a literal host */
export function ownAddress(
  { scheme, host, port }: BackendAddress,
  { listeners }: ConfigDocument,
  members: readonly Member[],
): string | null {
  const announced = members.flatMap(announcedBy);
  const isOf = (other: string) => isSame(host, other) || (isLoopback(host) && isLoopback(other));
  if (scheme !== "udp") {
    const admin = announced.find((one) => one.port === port && (isOf(one.host) || isLoopback(host)));
    if (admin) return `${host} port ${port} is the admin port of ${admin.member.id}`;
  }
  const here = isLoopback(host) || announced.some((one) => isOf(one.host));
  const span = gatewaysSharing(announced, isLoopback(host) ? null : isOf);
  const own = listeners.find(
    (listener) =>
      (listener.protocol === "udp") === (scheme === "udp") &&
      isPortOf(listener, port, span) &&
      (here || isSame(host, listener.address ?? "")),
  );
  return own
    ? `${host} port ${port} is that of listener "${own.name}": its requests would come back to it`
    : null;
}

/** Gateways on one machine take consecutive ports. */
const isPortOf = ({ port }: ListenerDocument, other: number, span: number): boolean =>
  port !== 0 && other >= port && other < port + span;

/** The most on one host. @param isHost null: on any, since each reaches itself under the same address */
function gatewaysSharing(
  announced: readonly Announced[],
  isHost: ((host: string) => boolean) | null,
): number {
  const counts = new Map<string, number>();
  for (const { member, host } of announced) {
    if (member.role !== "gateway" || (isHost && !isHost(host))) continue;
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  return Math.max(1, ...counts.values());
}

function announcedBy(member: Member): Announced[] {
  if (!URL.canParse(member.adminUrl)) return [];
  const { hostname, port } = new URL(member.adminUrl);
  return [{ member, host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || 80) }];
}

const isLoopback = (host: string): boolean => LOOPBACK.find(host) !== null;

/** Whatever way they are written. */
function isSame(a: string, b: string): boolean {
  const address = parseAddress(a);
  return address !== null && address === parseAddress(b);
}
