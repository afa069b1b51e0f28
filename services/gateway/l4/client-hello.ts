// What the first bytes of a TLS connection say in the clear: which server is wanted, and which protocols. Enough to
// route the connection on, without a key and without changing a byte. Reads a ClientHello (RFC 8446, 4.1.2; RFC 6066;
// RFC 7301) strictly and within bounds.
import type { Parsed } from "./greeting.ts";

/** Bytes of the message; post-quantum key shares make it some 2 KiB. */
const MAX_HELLO_BYTES = 16 * 1024;
/** Bytes read for it: it may be cut into many records, each with a header of its own. */
export const MAX_HELLO_WIRE_BYTES = 2 * MAX_HELLO_BYTES;
/** Protocols offered by ALPN; what is offered beyond is refused. */
const MAX_PROTOCOLS = 64;

const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 16 * 1024;
const HANDSHAKE_RECORD = 22;
const HANDSHAKE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;
/** Legacy version and random. */
const HELLO_FIXED_BYTES = 34;
const MAX_SESSION_ID_BYTES = 32;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const ALPN = 16;
const MAX_NAME_LENGTH = 253;
const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/i;

export interface WholeClientHello {
  state: "whole";
  /** Lower case, without a closing dot; null: none was sent. */
  servername: string | null;
  /** Offered by ALPN. */
  protocols: string[];
}

export type ClientHello = Parsed<WholeClientHello>;

const MORE: ClientHello = { state: "more" };
const invalid = (reason: string): ClientHello => ({ state: "invalid", reason });
const MALFORMED = invalid("the ClientHello is malformed");

/** Reads the beginning of what has come so far. Never throws. */
export function parseClientHello(bytes: Buffer): ClientHello {
  const message = unwrap(bytes);
  return Buffer.isBuffer(message) ? readHello(message) : message;
}

/** The message without its record headers: one subarray where it stands in one record. */
function unwrap(bytes: Buffer): Buffer | ClientHello {
  const parts: Buffer[] = [];
  let needed = HANDSHAKE_HEADER_BYTES;
  let have = 0;
  for (let at = 0; have < needed; ) {
    const fault = recordFault(bytes, at);
    if (fault !== null) return fault;
    if (bytes.length < at + RECORD_HEADER_BYTES) return moreOf(bytes);
    const end = at + RECORD_HEADER_BYTES + bytes.readUInt16BE(at + 3);
    const part = bytes.subarray(at + RECORD_HEADER_BYTES, end);
    if (have === 0 && part.length > 0 && part[0] !== CLIENT_HELLO) {
      return invalid("the first TLS message is no ClientHello");
    }
    parts.push(part);
    have += part.length;
    if (needed === HANDSHAKE_HEADER_BYTES && have >= needed) {
      needed += messageBytes(parts);
      if (needed > MAX_HELLO_BYTES) return invalid("the ClientHello is too long");
    }
    if (have < needed && bytes.length < end) return moreOf(bytes);
    at = end;
  }
  const message = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  return message.subarray(HANDSHAKE_HEADER_BYTES, needed);
}

const moreOf = (bytes: Buffer): ClientHello =>
  bytes.length < MAX_HELLO_WIRE_BYTES ? MORE : invalid("the ClientHello is cut into too many records");

/** Judges as much of a record's header as is there. */
function recordFault(bytes: Buffer, at: number): ClientHello | null {
  if (bytes.length > at && bytes[at] !== HANDSHAKE_RECORD) return invalid("this is no TLS handshake");
  if (bytes.length > at + 1 && bytes[at + 1] !== 3) return invalid("this is no TLS handshake");
  if (bytes.length < at + RECORD_HEADER_BYTES) return null;
  const size = bytes.readUInt16BE(at + 3);
  return size === 0 || size > MAX_RECORD_BYTES ? invalid("a TLS record has no valid length") : null;
}

function messageBytes(parts: readonly Buffer[]): number {
  const head = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  return head.readUIntBE(1, 3);
}

/** Takes vectors off the front of some bytes. Null everywhere: there is not as much as is said. */
interface Cursor {
  bytes: Buffer;
  at: number;
}

function takeVector(cursor: Cursor, lengthBytes: 1 | 2): Buffer | null {
  const { bytes, at } = cursor;
  const start = at + lengthBytes;
  if (bytes.length < start) return null;
  const end = start + bytes.readUIntBE(at, lengthBytes);
  if (bytes.length < end) return null;
  cursor.at = end;
  return bytes.subarray(start, end);
}

function readHello(bytes: Buffer): ClientHello {
  if (bytes.length < HELLO_FIXED_BYTES || bytes[0] !== 3) return MALFORMED;
  const cursor: Cursor = { bytes, at: HELLO_FIXED_BYTES };
  const session = takeVector(cursor, 1);
  const ciphers = takeVector(cursor, 2);
  const compression = takeVector(cursor, 1);
  if (!session || session.length > MAX_SESSION_ID_BYTES) return MALFORMED;
  if (!ciphers || ciphers.length < 2 || ciphers.length % 2 !== 0 || !compression?.length) return MALFORMED;
  if (cursor.at === bytes.length) return { state: "whole", servername: null, protocols: [] };
  const extensions = takeVector(cursor, 2);
  return extensions && cursor.at === bytes.length ? readExtensions(extensions) : MALFORMED;
}

function readExtensions(bytes: Buffer): ClientHello {
  const cursor: Cursor = { bytes, at: 0 };
  let servername: string | null = null;
  let protocols: string[] | null = null;
  while (cursor.at < bytes.length) {
    if (bytes.length < cursor.at + 4) return MALFORMED;
    const type = bytes.readUInt16BE(cursor.at);
    cursor.at += 2;
    const body = takeVector(cursor, 2);
    if (!body) return MALFORMED;
    if (type === SERVER_NAME) {
      // A second one could be read differently by whoever ends the TLS.
      const name: string | null = servername === null ? readServerName(body) : null;
      if (name === null) return invalid("the ClientHello holds no valid server name");
      servername = name;
    } else if (type === ALPN) {
      const names: string[] | null = protocols === null ? readProtocols(body) : null;
      if (names === null) return MALFORMED;
      protocols = names;
    }
  }
  return { state: "whole", servername, protocols: protocols ?? [] };
}

function readServerName(body: Buffer): string | null {
  const outer: Cursor = { bytes: body, at: 0 };
  const list = takeVector(outer, 2);
  if (!list || outer.at !== body.length || list[0] !== HOST_NAME) return null;
  const inner: Cursor = { bytes: list, at: 1 };
  const name = takeVector(inner, 2);
  if (!name || inner.at !== list.length || name.length > MAX_NAME_LENGTH) return null;
  const text = name.toString("latin1");
  if (!NAME.test(text)) return null;
  return (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
}

function readProtocols(body: Buffer): string[] | null {
  const outer: Cursor = { bytes: body, at: 0 };
  const list = takeVector(outer, 2);
  if (!list?.length || outer.at !== body.length) return null;
  const names: string[] = [];
  for (const cursor: Cursor = { bytes: list, at: 0 }; cursor.at < list.length; ) {
    const name = takeVector(cursor, 1);
    if (!name?.length || names.length === MAX_PROTOCOLS) return null;
    names.push(name.toString("latin1"));
  }
  return names;
}
