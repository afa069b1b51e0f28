// The PROXY protocol, versions 1 and 2: the few bytes before a connection's own with which a balancer in front says who
// its client is. Read strictly, since whoever may write it decides which address everything behind it believes.
import type { Socket } from "node:net";
import { parseAddress } from "@evenkeel/core/network/networks.ts";
import { type Parsed, readGreeting } from "./greeting.ts";

/** Bytes of a version 1 line, its CRLF included: the longest the specification allows. */
const V1_MAX_BYTES = 107;
/** Bytes of a version 2 header before its addresses. */
const V2_FIXED_BYTES = 16;
/** Bytes of addresses and extensions in version 2; what nginx takes. Addresses need 216 at most. */
export const V2_MAX_BYTES = 4_096;
/** For the whole header, in ms, where nobody says else; Caddy's default. */
export const PROXY_HEADER_TIMEOUT_MS = 5_000;

const V1_START = Buffer.from("PROXY ", "latin1");
const V2_START = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const CR = 0x0d;
const LF = 0x0a;

export type ProxyVersion = "v1" | "v2";

export interface AddressAndPort {
  /** IPv4, or IPv6 in its short form; never an IPv4 address written as an IPv6 one. */
  address: string;
  port: number;
}

/** The client's address and port, and where it believed to connect to. */
export interface ProxySource extends AddressAndPort {
  destination: AddressAndPort;
}

export interface WholeProxyHeader {
  state: "whole";
  /** Bytes of the header. */
  length: number;
  /** Null: the sender speaks for itself, or cannot say; the peer's address stands. */
  source: ProxySource | null;
}

export type ProxyHeader = Parsed<WholeProxyHeader>;

const MORE: ProxyHeader = { state: "more" };
const invalid = (reason: string): ProxyHeader => ({ state: "invalid", reason });

/** Reads the header at the beginning of what has come so far. Never throws. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_START)) return bytes.length < V2_FIXED_BYTES ? MORE : parseV2(bytes);
  if (startsLike(bytes, V1_START)) return parseV1(bytes);
  return invalid("does not begin with a PROXY protocol header");
}

/** As far as both go. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const shared = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, shared, 0, shared) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader {
  const head = bytes.subarray(0, V1_MAX_BYTES);
  const end = head.indexOf(LF);
  if (end === -1) return head.length < V1_MAX_BYTES ? MORE : invalid("the version 1 line is too long");
  if (head[end - 1] !== CR) return invalid("the version 1 line does not end with CRLF");
  const parts = head.toString("latin1", 0, end - 1).split(" ");
  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] = parts;
  const length = end + 1;
  if (family === "UNKNOWN") return { state: "whole", length, source: null };
  if ((family !== "TCP4" && family !== "TCP6") || parts.length !== 6) {
    return invalid("the version 1 line is malformed");
  }
  const from = endpoint(family, source, sourcePort);
  const to = endpoint(family, destination, destinationPort);
  if (from === null || to === null) return invalid("the version 1 line holds no valid address or port");
  return { state: "whole", length, source: { ...from, destination: to } };
}

function endpoint(family: "TCP4" | "TCP6", text: string, portText: string): AddressAndPort | null {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(portText) || Number(portText) > 65_535) return null;
  if (text.includes(":") !== (family === "TCP6")) return null;
  if (family === "TCP4" && /(?:^|\.)0\d/.test(text)) return null; // octal to some readers
  const address = parseAddress(text);
  return address === null ? null : { address: formatAddress(address), port: Number(portText) };
}

function parseV2(bytes: Buffer): ProxyHeader {
  const command = bytes[12] as number;
  const family = bytes[13] as number;
  const size = bytes.readUInt16BE(14);
  if (command >> 4 !== 2) return invalid("the version after the signature is not 2");
  if ((command & 0xf) > 1) return invalid("the version 2 command is neither LOCAL nor PROXY");
  if (family >> 4 > 3 || (family & 0xf) > 2) return invalid("the version 2 address family is unknown");
  if (size > V2_MAX_BYTES) return invalid(`the version 2 header is longer than ${V2_MAX_BYTES} bytes`);
  if ((command & 0xf) === 1 && size < addressBytes(family)) {
    return invalid("the version 2 header is too short for its addresses");
  }
  const length = V2_FIXED_BYTES + size;
  if (bytes.length < length) return MORE;
  // LOCAL, UNSPEC, unix sockets and datagrams say nothing about who connects to us over TCP.
  const source = (command & 0xf) === 0 ? null : v2Source(bytes, family);
  return { state: "whole", length, source };
}

const TCP4 = 0x11;
const TCP6 = 0x21;
/** Two addresses, with their ports where they have some. By the upper half of the family byte. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;
const addressBytes = (family: number): number => ADDRESS_BYTES[family >> 4] ?? 0;

function v2Source(bytes: Buffer, family: number): ProxySource | null {
  if (family === TCP4) {
    return {
      address: formatAddress(bytes.readUInt32BE(16)),
      port: bytes.readUInt16BE(24),
      destination: { address: formatAddress(bytes.readUInt32BE(20)), port: bytes.readUInt16BE(26) },
    };
  }
  if (family !== TCP6) return null;
  return {
    address: formatAddress(readV6(bytes, 16)),
    port: bytes.readUInt16BE(48),
    destination: { address: formatAddress(readV6(bytes, 32)), port: bytes.readUInt16BE(50) },
  };
}

const MAPPED = 0xffffn << 32n;

function readV6(bytes: Buffer, offset: number): number | bigint {
  const address = (bytes.readBigUInt64BE(offset) << 64n) | bytes.readBigUInt64BE(offset + 8);
  return address >> 32n === 0xffffn ? Number(address & 0xffffffffn) : address;
}

/** What `parseAddress` has read, in its one canonical spelling (RFC 5952). */
function formatAddress(address: number | bigint): string {
  if (typeof address === "number") {
    return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  }
  const groups: string[] = [];
  for (let bit = 112n; bit >= 0n; bit -= 16n) groups.push(((address >> bit) & 0xffffn).toString(16));
  let from = 0;
  let longest = 1; // a single group of zeros is not shortened
  for (let i = 0; i < 8; i += 1) {
    let zeros = 0;
    while (groups[i + zeros] === "0") zeros += 1;
    if (zeros > longest) [from, longest] = [i, zeros];
  }
  if (longest === 1) return groups.join(":");
  return `${groups.slice(0, from).join(":")}::${groups.slice(from + longest).join(":")}`;
}

/**
 * The header to send before anything else on a connection to a backend.
 * @param source null, or no IP address: the header says that the client is not known
 */
export function proxyHeader(
  version: ProxyVersion,
  source: AddressAndPort | null,
  destination: AddressAndPort | null,
): Buffer {
  const from = source && parseAddress(source.address);
  const to = destination && parseAddress(destination.address);
  if (!source || !destination || from === null || to === null) return unknown(version);
  const four = typeof from === "number" && typeof to === "number";
  if (version === "v2") return v2Header(from, source.port, to, destination.port, four);
  const text = four ? formatAddress : formatV6;
  return Buffer.from(
    `PROXY ${four ? "TCP4" : "TCP6"} ${text(from)} ${text(to)} ${source.port} ${destination.port}\r\n`,
    "latin1",
  );
}

const unknown = (version: ProxyVersion): Buffer =>
  version === "v1"
    ? Buffer.from("PROXY UNKNOWN\r\n", "latin1")
    : Buffer.concat([V2_START, Buffer.from([0x21, 0, 0, 0])]);

/** Both addresses are of one family on the wire, so an IPv4 one may have to be written as IPv6. */
const formatV6 = (address: number | bigint): string =>
  typeof address === "number" ? `::ffff:${formatAddress(address)}` : formatAddress(address);

function v2Header(
  from: number | bigint,
  fromPort: number,
  to: number | bigint,
  toPort: number,
  four: boolean,
): Buffer {
  const size = four ? 12 : 36;
  const bytes = Buffer.alloc(V2_FIXED_BYTES + size);
  V2_START.copy(bytes);
  bytes[12] = 0x21;
  bytes[13] = four ? TCP4 : TCP6;
  bytes.writeUInt16BE(size, 14);
  const width = four ? 4 : 16;
  writeAddress(bytes, 16, from, four);
  writeAddress(bytes, 16 + width, to, four);
  bytes.writeUInt16BE(fromPort, 16 + 2 * width);
  bytes.writeUInt16BE(toPort, 18 + 2 * width);
  return bytes;
}

function writeAddress(bytes: Buffer, offset: number, address: number | bigint, four: boolean): void {
  if (four) {
    bytes.writeUInt32BE(Number(address), offset);
    return;
  }
  const wide = typeof address === "number" ? MAPPED | BigInt(address) : address;
  bytes.writeBigUInt64BE(wide >> 64n, offset);
  bytes.writeBigUInt64BE(wide & 0xffff_ffff_ffff_ffffn, offset + 8);
}

/**
 * Reads the header of a connection whose peer must send one. Exactly one of `done` and `fail` is called, never before
 * this returns. Then the socket is paused and this listens to nothing of it any more; closing it is up to the caller.
 * @param done `source` null: the peer's address stands. `rest`: what came after the header, to be read first
 */
export function acceptProxyHeader(
  socket: Socket,
  { timeoutMs }: { timeoutMs: number },
  done: (source: ProxySource | null, rest: Buffer) => void,
  fail: (reason: string) => void,
): void {
  readGreeting(
    socket,
    { timeoutMs, what: "PROXY protocol header", first: NOTHING },
    parseProxyHeader,
    ({ source, length }, bytes) => done(source, bytes.subarray(length)),
    fail,
  );
}

const NOTHING = Buffer.alloc(0);
