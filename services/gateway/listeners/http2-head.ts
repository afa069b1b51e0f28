// The header section of an HTTP/2 request (RFC 9113, 8.3), as nghttp2 has let it through: pseudo fields become the
// request's head, cookie crumbs one field, and a WebSocket asked for by extended CONNECT (RFC 8441) an upgrade.
import { randomBytes } from "node:crypto";
import type { HttpLimits } from "@evenkeel/core/config/resolve-listeners.ts";
import { switchTo } from "../http1/head.ts";
import { addField, type Fields, fieldOf } from "../messages/fields.ts";
import type { RequestHead } from "../messages/message.ts";

/** What a field costs beside its name and value, as in HTTP/1: colon, space, end of line. */
const FIELD_BYTES = 4;

/** Fields that would mean something to this hop, which HTTP/2 has no place for (RFC 9113, 8.2.2). */
export const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

interface Pseudo {
  method: string | null;
  scheme: string | null;
  authority: string | null;
  path: string | null;
  protocol: string | null;
}

/**
 * The head, or the status that refuses it.
 * @param raw names and values in turn
 * @param ended no body follows
 */
export function readHead(raw: readonly string[], ended: boolean, limits: HttpLimits): RequestHead | number {
  const pseudo: Pseudo = { method: null, scheme: null, authority: null, path: null, protocol: null };
  const fields = readFields(raw, pseudo, limits);
  if (typeof fields === "number") return fields;
  const { method, scheme } = pseudo;
  if (method === null) return 400;
  const host = fieldOf(fields, "host") ?? null;
  const authority = pseudo.authority ?? host;
  if (host !== null && host.toLowerCase() !== authority?.toLowerCase()) return 400;
  if (method === "CONNECT" && pseudo.protocol === null) return 501; // no tunnels to wherever a client likes
  if (pseudo.path === null || pseudo.path === "" || (scheme !== "http" && scheme !== "https")) return 400;
  const head: RequestHead = {
    method,
    target: pseudo.path,
    version: "2",
    authority,
    fields,
    connection: null,
    bodyLength: 0,
    upgrade: null,
  };
  if (pseudo.protocol !== null) return method === "CONNECT" ? asUpgrade(head, pseudo.protocol) : 400;
  const length = ended ? 0 : bodyLength(fields);
  if (length === null) return 400;
  head.bodyLength = length;
  return head;
}

/** All but the pseudo fields, which go to `pseudo`. */
function readFields(raw: readonly string[], pseudo: Pseudo, limits: HttpLimits): Fields | number {
  const fields: Fields = [];
  if (raw.length / 2 > limits.headers + 5) return 431; // the pseudo fields are not counted
  let bytes = 0;
  let cookie = -1;
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    bytes += name.length + value.length + FIELD_BYTES;
    if (bytes > limits.headerBytes) return 431;
    if (name.charCodeAt(0) === 58) {
      const key = name.slice(1) as keyof Pseudo;
      if (!(key in pseudo) || pseudo[key] !== null) return 400;
      pseudo[key] = value;
    } else if (name === "cookie") {
      if (cookie === -1) cookie = fields.push(name, name, value) - 1;
      else fields[cookie] = `${fields[cookie]}; ${value}`;
    } else {
      if (name === "host" && ++hosts > 1) return 400;
      if (CONNECTION_SPECIFIC.has(name) || (name === "te" && value !== "trailers")) return 400;
      fields.push(name, name, value);
    }
  }
  return fields.length / 3 > limits.headers ? 431 : fields;
}

/** Null: not a length. nghttp2 holds the body against it. */
function bodyLength(fields: Fields): number | null {
  const told = fieldOf(fields, "content-length");
  if (told === undefined) return Number.POSITIVE_INFINITY;
  return /^\d{1,15}$/.test(told) ? Number(told) : null;
}

/** Reads like an HTTP/1 upgrade, so that it can be served by a backend that knows no other; but names one protocol. */
function asUpgrade(head: RequestHead, protocol: string): RequestHead | number {
  head.method = "GET";
  head.upgrade = protocol.includes(",") ? null : switchTo(protocol);
  if (head.upgrade === null) return 501;
  if (head.upgrade === "websocket" && fieldOf(head.fields, "sec-websocket-key") === undefined) {
    addField(head.fields, "sec-websocket-key", randomBytes(16).toString("base64"));
  }
  return head;
}

/** Of a request's trailer section; pseudo fields are not part of one. */
export function readTrailers(raw: readonly string[], limits: HttpLimits): Fields | null {
  const fields: Fields = [];
  let bytes = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    bytes += name.length + value.length + FIELD_BYTES;
    if (bytes > limits.headerBytes || i / 2 >= limits.headers) return null;
    fields.push(name, name, value);
  }
  return fields;
}
