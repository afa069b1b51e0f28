// Addresses that no backend has, whoever says so: a gateway that forwards to the metadata service of a cloud would hand
// out the machine's credentials, and to a group or to no address there is nothing to forward.
import { createNetworks, parseAddress } from "./networks.ts";

const METADATA = "where clouds answer with a machine's credentials";

const FORBIDDEN = createNetworks(
  Object.entries({
    "0.0.0.0/8": "an unspecified address",
    "169.254.0.0/16": `link-local, ${METADATA}`,
    "100.100.100.200/32": METADATA,
    "168.63.129.16/32": METADATA,
    "192.0.0.192/32": METADATA,
    "224.0.0.0/4": "a multicast address",
    "255.255.255.255/32": "the broadcast address",
    "::/128": "an unspecified address",
    "fe80::/10": `link-local, ${METADATA}`,
    "fd00:ec2::254/128": METADATA,
    "fd20:ce::254/128": METADATA,
    "ff00::/8": "a multicast address",
  }).map(([cidr, value]) => ({ cidr, value })),
);

/** IPv6 prefixes behind which an IPv4 address stands that is reached in the end, and the bits to its right. */
const EMBEDDINGS = [
  { prefix: 0x0064_ff9b_0000_0000_0000_0000n, length: 96, after: 0n }, // NAT64
  { prefix: 0xffff_0000n, length: 96, after: 0n }, // IPv4-translated
  { prefix: 0n, length: 96, after: 0n }, // IPv4-compatible
  { prefix: 0x2002n, length: 16, after: 80n }, // 6to4
] as const;

/** With no second way to read it. */
const PLAIN_IPV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;

/** :: and ::1 are addresses of their own, as are all that would stand for 0.x.y.z. */
const FIRST_EMBEDDED = 0x0100_0000n;

/**
 * Why no backend can have this address; null for a good address, and for a name.
 * @param host an address in any spelling that is connected to: also [::1], fe80::1%eth0, 0xa9fea9fe, 169.254.43518
 */
export function forbiddenAddress(host: string): string | null {
  const bare = host
    .trim()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/%.*$/s, "");
  if (PLAIN_IPV4.test(bare)) {
    const reason = FORBIDDEN.find(bare);
    return reason && `${host} is ${reason}`;
  }
  // Readers differ on 0224.0.0.1: decimal to some, octal to others. Neither may be a forbidden one.
  for (const text of [asDecimal(bare), asConnected(bare)]) {
    const reason = text === null ? null : reasonFor(text);
    if (reason !== null) return `${host} is ${reason}`;
  }
  return null;
}

function reasonFor(text: string): string | null {
  const address = parseAddress(text);
  if (typeof address !== "bigint") return FORBIDDEN.find(text);
  for (const { prefix, length, after } of EMBEDDINGS) {
    if (address >> BigInt(128 - length) !== prefix) continue;
    const inner = (address >> after) & 0xffff_ffffn;
    if (inner >= FIRST_EMBEDDED) return FORBIDDEN.find(dotted(inner));
  }
  return FORBIDDEN.find(text);
}

const dotted = (address: bigint): string =>
  [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 0xffn)).join(".");

const asDecimal = (text: string): string => (text.includes(":") ? text : text.replace(/\b0+(?=\d)/g, ""));

/** The spelling that URLs are connected by; null for what is no host of a URL. */
function asConnected(text: string): string | null {
  const url = `http://${text.includes(":") ? `[${text}]` : text}/`;
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "") : null;
}
