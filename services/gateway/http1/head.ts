// Reads the header section of a request or of an answer, strictly: whatever two parsers could understand differently
// is refused (RFC 9110, RFC 9112). Pure: text in, head or fault out.
import type { Fields } from "../messages/fields.ts";
import type { RequestHead, ResponseHead } from "../messages/message.ts";
import { canBeTarget, canBeToken, canBeValue, LF, SPACE, TAB, tokenEnd } from "./characters.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST,
  KEEP_ALIVE,
  nameOf,
  TRANSFER_ENCODING,
  UPGRADE,
} from "./names.ts";

export interface RequestReading {
  head: RequestHead;
  /** The connection may carry another request after this one. */
  keepAlive: boolean;
  /** The client waits for 100 before it sends the body. */
  expectsContinue: boolean;
  chunked: boolean;
}

export interface HeadFault {
  status: 400 | 417 | 431 | 501 | 505;
  /** Shown to the client. */
  text: string;
}

export interface ResponseReading {
  head: ResponseHead;
  /** 1xx but 101: another head follows. */
  interim: boolean;
  /** The connection may carry another request once this answer is complete. */
  keepAlive: boolean;
  /** How long the backend keeps an idle connection, by its Keep-Alive field; null: it does not say. */
  keepAliveHintMs: number | null;
  chunked: boolean;
  /** Only the end of the connection ends the body. */
  untilClose: boolean;
}

const SLASH = 47;
/** What a target may be besides a path: an asterisk, or a URL with a host. */
const OTHER_FORM = /^(?:\*$|[A-Za-z]+:\/\/[^/?#])/;
/** Digits of a Content-Length: below 2^53 whatever they are. */
const MAX_LENGTH_DIGITS = 15;
/** Fields of an answer's header section; past it the answer is not valid. */
const MAX_RESPONSE_HEADERS = 1_000;
/** Longest hint that is believed. */
const MAX_HINT_S = 86_400;

/** What the fields of a section say of the message they belong to: one object, filled anew by each section read. */
interface Framing {
  host: string | null;
  hosts: number;
  contentLength: string | null;
  transferEncoding: string | null;
  connection: string | null;
  upgrade: string | null;
  expect: string | null;
  keepAlive: string | null;
}

const found: Framing = {
  host: null,
  hosts: 0,
  contentLength: null,
  transferEncoding: null,
  connection: null,
  upgrade: null,
  expect: null,
  keepAlive: null,
};

/** @param text Latin-1, without the closing empty line */
export function readRequestHead(text: string, limits: { headers: number }): RequestReading | HeadFault {
  let lineEnd = text.indexOf("\r\n");
  if (lineEnd === -1) lineEnd = text.length;
  const methodEnd = text.indexOf(" ");
  const method = text.slice(0, Math.max(0, methodEnd));
  if (methodEnd > lineEnd || !canBeToken(method)) return bad("the request line has no valid method");
  const targetStart = methodEnd + 1;
  const end = text.indexOf(" ", targetStart);
  const target = text.slice(targetStart, Math.max(targetStart, end));
  if (target === "" || end > lineEnd || !canBeTarget(target)) {
    return bad("the request line has no valid target and version");
  }
  if (method === "CONNECT") return { status: 501, text: "CONNECT is not offered here" };
  if (text.charCodeAt(targetStart) !== SLASH && !OTHER_FORM.test(target)) {
    return bad("the request target is neither a path nor a URL nor an asterisk");
  }
  const version = requestVersion(text, end + 1, lineEnd);
  if (version === null) return unsupportedVersion(text.slice(end + 1, lineEnd));
  const fields: Fields = [];
  const fault = readFields(text, lineEnd + 2, fields, limits.headers);
  if (fault !== null) return { status: fault === TOO_MANY ? 431 : 400, text: fault };
  return frameRequest(method, target, version, fields);
}

function frameRequest(
  method: string,
  target: string,
  version: "1.0" | "1.1",
  fields: Fields,
): RequestReading | HeadFault {
  const { host, connection, transferEncoding, contentLength } = found;
  if (found.hosts > 1) return bad("there is more than one Host header");
  if (host === null && version === "1.1") return bad("the Host header is missing");
  let bodyLength = 0;
  const chunked = transferEncoding !== null;
  if (chunked) {
    const fault = requestCodingFault(transferEncoding, version);
    if (fault !== null) return fault;
    bodyLength = Number.POSITIVE_INFINITY;
  } else if (contentLength !== null) {
    bodyLength = lengthOf(contentLength);
    if (bodyLength === -1) return bad("the Content-Length is not one plain number");
  }
  const { expect } = found;
  if (expect !== null && version === "1.1" && expect.toLowerCase() !== "100-continue") {
    return { status: 417, text: "only 100-continue can be expected" };
  }
  const upgrade = bodyLength === 0 && version === "1.1" ? upgradeOf(connection, found.upgrade) : null;
  return {
    head: { method, target, version, authority: host, fields, connection, bodyLength, upgrade },
    keepAlive: keepsAlive(version, connection),
    expectsContinue: expect !== null && version === "1.1" && bodyLength > 0,
    chunked,
  };
}

/** @returns why the text cannot be an answer to that request, where it cannot */
export function readResponseHead(
  text: string,
  request: { method: string; upgrade: string | null },
  limits: { headers: number } = { headers: MAX_RESPONSE_HEADERS },
): ResponseReading | string {
  let lineEnd = text.indexOf("\r\n");
  if (lineEnd === -1) lineEnd = text.length;
  const version = text.startsWith("HTTP/1.1") ? "1.1" : text.startsWith("HTTP/1.0") ? "1.0" : null;
  if (version === null) return "it is not HTTP/1.0 or HTTP/1.1";
  const status = statusAt(text, lineEnd);
  if (status === -1) return "its status is not a number of three digits";
  const reason = text.slice(13, lineEnd);
  if (!canBeValue(reason)) return "its reason phrase holds a control character";
  const fields: Fields = [];
  const fault = readFields(text, lineEnd + 2, fields, limits.headers);
  if (fault !== null) return fault;
  const { connection, keepAlive: hint } = found;
  const head: ResponseHead = { status, reason, fields, bodyLength: 0, tunnel: false };
  const reading: ResponseReading = {
    head,
    interim: false,
    keepAlive: keepsAlive(version, connection),
    keepAliveHintMs: hint === null ? null : hintOf(hint),
    chunked: false,
    untilClose: false,
  };
  return frameResponse(reading, version, request) ?? reading;
}

/** Sets how the body of an answer is framed (RFC 9112, 6.3). @returns why it cannot be valid */
function frameResponse(
  reading: ResponseReading,
  version: string,
  { method, upgrade }: { method: string; upgrade: string | null },
): string | null {
  const { head } = reading;
  const { contentLength, transferEncoding } = found;
  if (transferEncoding !== null) {
    if (contentLength !== null) return "it has both Transfer-Encoding and Content-Length";
    if (version === "1.0") return "it has Transfer-Encoding in HTTP/1.0";
    if (transferEncoding.toLowerCase() !== "chunked") return "its Transfer-Encoding is not chunked alone";
  }
  const declared = contentLength === null ? 0 : lengthOf(contentLength);
  if (declared === -1) return "its Content-Length is not one plain number";
  if (head.status === 101) return openTunnel(reading, upgrade);
  const framed = transferEncoding !== null || declared > 0;
  if (head.status < 200) {
    reading.interim = true;
    return framed ? "it declares a body for an interim answer" : null;
  }
  if (method === "HEAD" || head.status === 304) return null;
  if (head.status === 204) {
    if (framed) reading.keepAlive = false; // nobody can tell whether a body follows
    return null;
  }
  if (transferEncoding !== null) {
    reading.chunked = true;
    head.bodyLength = Number.POSITIVE_INFINITY;
  } else if (contentLength !== null) {
    head.bodyLength = declared;
  } else {
    reading.untilClose = true;
    reading.keepAlive = false;
    head.bodyLength = Number.POSITIVE_INFINITY;
  }
  return null;
}

function openTunnel(reading: ResponseReading, asked: string | null): string | null {
  const { connection, upgrade } = found;
  if (asked === null) return "it switches protocols unasked";
  if (upgrade === null || connection === null || !hasMember(connection, "upgrade")) {
    return "it switches protocols without Connection: upgrade and Upgrade";
  }
  if (!hasMember(asked, upgrade.toLowerCase())) return "it switches to a protocol that was not asked for";
  if (found.transferEncoding !== null || (found.contentLength ?? "0") !== "0") {
    return "it declares a body for a switch of protocols";
  }
  reading.head.tunnel = true;
  reading.keepAlive = false;
  return null;
}

/** The fields of a trailer section. @returns the fault, where there is one */
export function readTrailers(text: string, fields: Fields, limit: number): string | null {
  return readFields(text, 0, fields, limit);
}

const BAD_VALUE = "a header's value holds a control character or a bare line break";
const TOO_MANY = "there are too many headers";

/** Fills `fields` and `found`. @returns the fault, where there is one */
function readFields(text: string, start: number, fields: Fields, limit: number): string | null {
  forget();
  let left = limit;
  for (let at = start; at < text.length; ) {
    if (left-- === 0) return TOO_MANY;
    const colon = text.indexOf(":", at);
    const name = colon === -1 ? null : nameOf(text.slice(at, colon));
    if (name === null) return nameFault(text, at, tokenEnd(text, at));
    let end = text.indexOf("\r", colon);
    if (end === -1) end = text.length;
    else if (text.charCodeAt(end + 1) !== LF) return BAD_VALUE;
    let first = colon + 1;
    while (isBlank(text.charCodeAt(first))) first += 1;
    let last = end;
    while (last > first && isBlank(text.charCodeAt(last - 1))) last -= 1;
    const value = text.slice(first, last);
    if (!canBeValue(value)) return BAD_VALUE;
    fields.push(name.written, name.lower, value);
    if (name.kind !== 0) note(name.kind, value);
    at = end + 2;
  }
  return null;
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB;

function nameFault(text: string, at: number, end: number): string {
  if (isBlank(text.charCodeAt(at))) return "a header is folded over several lines";
  if (end === at) return "a header has no name";
  return isBlank(text.charCodeAt(end))
    ? "there is a space in or behind a header's name"
    : "a header's name is not valid";
}

function forget(): void {
  found.host = null;
  found.hosts = 0;
  found.contentLength = null;
  found.transferEncoding = null;
  found.connection = null;
  found.upgrade = null;
  found.expect = null;
  found.keepAlive = null;
}

/** Values of the same name become one list: of Content-Length and the others that allow no list, an invalid one. */
function note(kind: number, value: string): void {
  switch (kind) {
    case HOST:
      found.host = value;
      found.hosts += 1;
      break;
    case CONTENT_LENGTH:
      found.contentLength = joined(found.contentLength, value);
      break;
    case TRANSFER_ENCODING:
      found.transferEncoding = joined(found.transferEncoding, value);
      break;
    case CONNECTION:
      found.connection = joined(found.connection, value);
      break;
    case UPGRADE:
      found.upgrade = joined(found.upgrade, value);
      break;
    case EXPECT:
      found.expect = joined(found.expect, value);
      break;
    case KEEP_ALIVE:
      found.keepAlive = joined(found.keepAlive, value);
  }
}

const joined = (before: string | null, value: string): string =>
  before === null ? value : `${before}, ${value}`;

const bad = (text: string): HeadFault => ({ status: 400, text });

function requestVersion(text: string, start: number, end: number): "1.0" | "1.1" | null {
  if (end - start !== 8) return null;
  if (text.startsWith("HTTP/1.1", start)) return "1.1";
  return text.startsWith("HTTP/1.0", start) ? "1.0" : null;
}

const SOME_VERSION = /^HTTP\/[0-9]\.[0-9]$/;

const unsupportedVersion = (written: string): HeadFault =>
  SOME_VERSION.test(written)
    ? { status: 505, text: "only HTTP/1.0, HTTP/1.1 and, where it is offered, HTTP/2 are understood" }
    : bad("the request line does not end in a version of HTTP");

function requestCodingFault(coding: string, version: string): HeadFault | null {
  if (version === "1.0") return bad("HTTP/1.0 has no Transfer-Encoding");
  if (found.contentLength !== null) return bad("there are both Transfer-Encoding and Content-Length");
  const lower = coding.toLowerCase();
  if (lower === "chunked") return null;
  const codings = lower.split(",").map((one) => one.trim());
  return codings.indexOf("chunked") === codings.length - 1
    ? { status: 501, text: "the only Transfer-Encoding understood is chunked" }
    : bad("the Transfer-Encoding does not end in chunked, once");
}

/** @returns -1 where it is not one plain number of a size that can be counted */
function lengthOf(text: string): number {
  if (text.length === 0 || text.length > MAX_LENGTH_DIGITS) return -1;
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** @returns -1 for no status: what follows `HTTP/1.x` is a space, three digits, and a space or the end of the line */
function statusAt(text: string, lineEnd: number): number {
  if (text.charCodeAt(8) !== SPACE || lineEnd < 12) return -1;
  if (lineEnd > 12 && text.charCodeAt(12) !== SPACE) return -1;
  const status = lengthOf(text.slice(9, 12));
  return status < 100 ? -1 : status;
}

function keepsAlive(version: "1.0" | "1.1", connection: string | null): boolean {
  if (connection === null) return version === "1.1";
  if (hasMember(connection, "close")) return false;
  return version === "1.1" || hasMember(connection, "keep-alive");
}

/** Whether a list names something, in any case. @param member in lower case */
export function hasMember(list: string, member: string): boolean {
  if (list.length === member.length) return list === member || list.toLowerCase() === member;
  if (list.length < member.length || list.indexOf(",") === -1) return list.trim().toLowerCase() === member;
  return list
    .toLowerCase()
    .split(",")
    .some((one) => one.trim() === member);
}

/** What the client wants to switch to. */
function upgradeOf(connection: string | null, upgrade: string | null): string | null {
  if (upgrade === null || connection === null || !hasMember(connection, "upgrade")) return null;
  return switchTo(upgrade);
}

/**
 * A list of protocols in lower case, where a client may switch to each of them. Versions of HTTP are no such thing:
 * behind a tunnel to h2c requests would reach the backend that no route has let through.
 */
export function switchTo(protocols: string): string | null {
  const lower = protocols.toLowerCase();
  const names = lower.split(",").map((one) => one.trim());
  return names.some((name) => name === "" || /^(?:h2|http|tls)/.test(name)) ? null : lower;
}

function hintOf(value: string): number | null {
  const lower = value.toLowerCase();
  for (const parameter of lower.split(",")) {
    const [name, seconds = ""] = parameter.split("=");
    if (name?.trim() !== "timeout") continue;
    const length = lengthOf(seconds.trim());
    return length === -1 ? null : Math.min(length, MAX_HINT_S) * 1_000;
  }
  return null;
}
