// Which network an address is in, of up to 100,000: the one with the longest prefix. One map per prefix length, so an
// address costs as many reads as there are different lengths. IPv4 addresses written as IPv6 ones are IPv4 addresses;
// IPv6 networks never hold IPv4 addresses.

export interface Networks<T> {
  /** Of the longest match; null for none, and for what is no address. */
  find(address: string): T | null;
}

/** @param entries with valid CIDRs: the configuration was checked; of equal networks the last one counts */
export function createNetworks<T>(entries: Iterable<{ cidr: string; value: T }>): Networks<T> {
  const four = createPrefixes<number, T>(V4_BITS, (address, bits) => (bits === 32 ? 0 : address >>> bits));
  const six = createPrefixes<bigint, T>(V6_BITS, (address, bits) => address >> BigInt(bits));
  for (const { cidr, value } of entries) {
    const slash = cidr.lastIndexOf("/");
    const address = parseAddress(cidr.slice(0, slash));
    const length = Number(cidr.slice(slash + 1));
    if (typeof address === "bigint") six.add(address, length, value);
    else if (address !== null)
      four.add(address, cidr.includes(":") ? Math.max(0, length - MAPPED_BITS) : length, value);
  }
  return {
    find(text) {
      const address = parseAddress(text);
      if (address === null) return null;
      return typeof address === "number" ? four.find(address) : six.find(address);
    },
  };
}

const V4_BITS = 32;
const V6_BITS = 128;
const MAPPED_BITS = 96;
/** ::ffff:0:0/96 */
const MAPPED = 0xffffn;

/** @param without the address without its last bits */
function createPrefixes<A, T>(width: number, without: (address: A, bits: number) => A) {
  const byLength = new Map<number, Map<A, T>>();
  let longestFirst: [dropped: number, prefixes: Map<A, T>][] = [];
  return {
    add(address: A, length: number, value: T): void {
      const prefixes = byLength.get(length) ?? new Map<A, T>();
      prefixes.set(without(address, width - length), value);
      if (byLength.has(length)) return;
      byLength.set(length, prefixes);
      longestFirst = [...byLength].sort(([a], [b]) => b - a).map(([bits, map]) => [width - bits, map]);
    },
    find(address: A): T | null {
      for (const [dropped, prefixes] of longestFirst) {
        const value = prefixes.get(without(address, dropped));
        if (value !== undefined) return value;
      }
      return null;
    },
  };
}

/** An IPv4 address as a number, an IPv6 one as a bigint; null for what is neither. */
export function parseAddress(text: string): number | bigint | null {
  if (!text.includes(":")) return parseV4(text);
  const address = parseV6(text);
  if (address === null || address >> 32n !== MAPPED) return address;
  return Number(address & 0xffffffffn);
}

function parseV4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let address = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return null;
    address = address * 256 + Number(part);
  }
  return address;
}

function parseV6(text: string): bigint | null {
  const [head = "", tail, ...more] = text.split("::");
  const left = groupsOf(head);
  const right = groupsOf(tail ?? "");
  if (left === null || right === null || more.length > 0) return null;
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...new Array<string>(missing).fill("0"), ...right];
  return BigInt(`0x${groups.map((group) => group.padStart(4, "0")).join("")}`);
}

/** Groups of four hexadecimal digits; the last two may be written as an IPv4 address. */
function groupsOf(text: string): string[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  const last = groups.at(-1) as string;
  if (last.includes(".")) {
    const address = parseV4(last);
    if (address === null) return null;
    groups.splice(-1, 1, (address >>> 16).toString(16), (address & 0xffff).toString(16));
  }
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups : null;
}
