// Header sections between our flat lists and HTTP/2 (RFC 9113, 8.2 and 8.3; RFC 8441 for what is switched to).
import { createHash } from "node:crypto";
import { canBeTarget, canBeToken, canBeValue } from "../http1/characters.ts";
import { mayTrail, UnsendableError } from "../http1/write.ts";
import { type Fields, fieldOf, STEP } from "../messages/fields.ts";
import { expectsBody } from "../messages/message.ts";
import type { OutgoingRequest } from "../messages/outgoing.ts";

/** Of HTTP/1 only: a request that holds one is malformed. */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names and values in turn, pseudo fields first. @throws UnsendableError */
export function requestHeaders(request: OutgoingRequest): string[] {
  const { method, target, authority, scheme, fields, upgrade, bodyLength } = request;
  if (!canBeToken(method)) refuse("method");
  if (target === "" || !canBeTarget(target)) refuse("target");
  if (!canBeTarget(authority)) refuse("authority");
  const headers = [":method", upgrade === null ? method : "CONNECT"];
  if (upgrade !== null) headers.push(":protocol", upgrade);
  headers.push(":scheme", scheme, ":authority", authority, ":path", target);
  let cookies: string | null = null;
  for (let i = 0; i < fields.length; i += STEP) {
    const name = fields[i + 1] as string;
    const value = fields[i + 2] as string;
    if (NOT_IN_HTTP2.has(name)) continue;
    checkField(name, value);
    if (name === "cookie") cookies = cookies === null ? value : `${cookies}; ${value}`;
    else if (name === "te") addTrailersOnly(headers, value);
    else if (upgrade === null || name !== "sec-websocket-key") headers.push(name, value);
  }
  if (cookies !== null) headers.push("cookie", cookies);
  const known = bodyLength > 0 || expectsBody(method);
  if (upgrade === null && known && bodyLength !== Number.POSITIVE_INFINITY) {
    headers.push("content-length", String(bodyLength));
  }
  return headers;
}

/** HTTP/2 could carry other characters; a backend that passes the request on in HTTP/1 would make more of them. */
function checkField(name: string, value: string): void {
  if (!canBeToken(name)) refuse("name of a field");
  if (!canBeValue(value)) refuse(`value of ${name}`);
}

function refuse(part: string): never {
  throw new UnsendableError(`the ${part} cannot be sent: it holds a character that HTTP forbids there`);
}

/** Nothing else may be said there. */
function addTrailersOnly(headers: string[], value: string): void {
  if (value.toLowerCase().includes("trailers")) headers.push("te", "trailers");
}

/** @param raw names and values in turn, pseudo fields among them */
export function fieldsOf(raw: readonly string[]): Fields {
  const fields: Fields = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!name.startsWith(":")) fields.push(name, name, raw[i + 1] as string);
  }
  return fields;
}

/** @throws UnsendableError */
export function trailerHeaders(trailers: Fields): Record<string, string[]> {
  const headers: Record<string, string[]> = Object.create(null);
  for (let i = 0; i < trailers.length; i += STEP) {
    const name = trailers[i + 1] as string;
    if (NOT_IN_HTTP2.has(name) || !mayTrail(name)) continue;
    checkField(name, trailers[i + 2] as string);
    headers[name] ??= [];
    headers[name].push(trailers[i + 2] as string);
  }
  return headers;
}

/** What a client of HTTP/1 needs to be told of a switch that HTTP/2 has agreed to. */
export function switchFields(request: OutgoingRequest, fields: Fields): Fields {
  const upgrade = request.upgrade ?? "";
  const key = fieldOf(request.fields, "sec-websocket-key");
  const told = [...fields, "upgrade", "upgrade", upgrade];
  if (upgrade === "websocket" && key !== undefined) {
    told.push("sec-websocket-accept", "sec-websocket-accept", webSocketAccept(key));
  }
  return told;
}

/** RFC 6455, 4.2.2. */
const webSocketAccept = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
