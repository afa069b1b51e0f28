// Header sections, chunks and trailers as text for the wire (Latin-1). By construction nothing goes out that a reader
// could take for more fields, or another message, than what was meant: a control character, a field that frames the
// message besides our own framing, and characters that are no single byte are refused or left out here.
import { STATUS_CODES } from "node:http";
import { type Fields, fieldOf, STEP } from "../messages/fields.ts";
import { expectsBody, hasNoBody, type ResponseHead } from "../messages/message.ts";
import type { OutgoingRequest } from "../messages/outgoing.ts";
import { canBeTarget, canBeToken, canBeValue } from "./characters.ts";
import { DATE, nameOf, ORDINARY, TE } from "./names.ts";

/** What cannot be sent, however it came here. The message names the part, never its content. */
export class UnsendableError extends Error {
  override name = "UnsendableError";
}

export interface AnswerFraming {
  /** Of the request's method, version and wish to switch. */
  method: string;
  version: "1.0" | "1.1";
  upgrade: string | null;
  /** The connection may be used again. */
  keepAlive: boolean;
  chunked: boolean;
}

/** The header section with its closing empty line. @throws UnsendableError */
export function requestHeadText(request: OutgoingRequest): string {
  const { method, target, authority, fields, upgrade } = request;
  if (!canBeToken(method)) refuse("method");
  if (target === "" || !canBeTarget(target)) refuse("target");
  if (!canBeTarget(authority)) refuse("authority");
  let text = `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n`;
  let hasTe = false;
  for (let i = 0; i < fields.length; i += STEP) {
    const kind = kindOf(fields[i] as string);
    if (kind !== ORDINARY && kind !== DATE) {
      if (kind !== TE) continue;
      hasTe = true;
    }
    text += fieldLine(fields[i] as string, fields[i + 2] as string);
  }
  const length = request.body === null ? request.bodyLength : request.body.length;
  if (length === Number.POSITIVE_INFINITY) text += "transfer-encoding: chunked\r\n";
  else if (length > 0 || expectsBody(method)) text += `content-length: ${length}\r\n`;
  if (upgrade !== null) {
    text += fieldLine("upgrade", upgrade);
    text += hasTe ? "connection: upgrade, te\r\n" : "connection: upgrade\r\n";
  } else if (hasTe) text += "connection: te\r\n";
  return `${text}\r\n`;
}

/** The header section with its closing empty line. @throws UnsendableError */
export function responseHeadText(head: ResponseHead, framing: AnswerFraming): string {
  const { fields } = head;
  let text = statusLine(head.status, head.reason);
  let dated = false;
  for (let i = 0; i < fields.length; i += STEP) {
    const kind = kindOf(fields[i] as string);
    if (kind === DATE) dated = true;
    else if (kind !== ORDINARY) continue;
    text += fieldLine(fields[i] as string, fields[i + 2] as string);
  }
  if (head.tunnel) {
    const protocol = fieldOf(fields, "upgrade") ?? framing.upgrade ?? "";
    return `${text}${fieldLine("upgrade", protocol)}connection: upgrade\r\n\r\n`;
  }
  if (!dated) text += dateLine(Date.now());
  text += framing.chunked ? "transfer-encoding: chunked\r\n" : lengthLine(head, framing.method);
  if (!framing.keepAlive) text += "connection: close\r\n";
  else if (framing.version === "1.0") text += "connection: keep-alive\r\n";
  return `${text}\r\n`;
}

/**
 * For HEAD and 304 what a GET would have been told, where that is known (RFC 9110, 8.6): it was left among the fields,
 * or is the head's length.
 */
function lengthLine({ status, fields, bodyLength }: ResponseHead, method: string): string {
  if (status === 204) return "";
  if (hasNoBody(method, status)) {
    const declared = fieldOf(fields, "content-length");
    if (declared !== undefined)
      return ONLY_DIGITS.test(declared) ? fieldLine("content-length", declared) : "";
    return bodyLength > 0 && Number.isSafeInteger(bodyLength) ? `content-length: ${bodyLength}\r\n` : "";
  }
  return bodyLength === Number.POSITIVE_INFINITY ? "" : `content-length: ${bodyLength}\r\n`;
}

const ONLY_DIGITS = /^[0-9]{1,15}$/;

/** 1xx, with its closing empty line. @throws UnsendableError */
export function interimText(status: number, fields: Fields): string {
  let text = statusLine(status, "");
  for (let i = 0; i < fields.length; i += STEP) {
    if (kindOf(fields[i] as string) === ORDINARY)
      text += fieldLine(fields[i] as string, fields[i + 2] as string);
  }
  return `${text}\r\n`;
}

/** A whole answer to what is no request, after which the connection is closed. */
export function refusalText(status: number, text: string): string {
  const body = `${status} ${STATUS_CODES[status]}: ${text}\n`;
  const fields = `connection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}`;
  return `${statusLine(status, "")}${fields}\r\n\r\n${body}`;
}

export const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** What stands before the bytes of a chunk; behind them comes CRLF. @param length not 0: that would end the body */
export const chunkHead = (length: number): string => `${length.toString(16)}\r\n`;

/** The end of a chunked body. Fields that have no place in a trailer are left out. @throws UnsendableError */
export function lastChunk(trailers: Fields | null): string {
  if (trailers === null) return "0\r\n\r\n";
  let text = "0\r\n";
  for (let i = 0; i < trailers.length; i += STEP) {
    const name = trailers[i] as string;
    if (kindOf(name) === ORDINARY && mayTrail(trailers[i + 1] as string)) {
      text += fieldLine(name, trailers[i + 2] as string);
    }
  }
  return `${text}\r\n`;
}

/** Fields that frame, route, authenticate or describe a message mean nothing, or harm, after its body (RFC 9110, 6.5.1). */
const NOT_AS_TRAILER: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expect",
  "expires",
  "forwarded",
  "host",
  "keep-alive",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "www-authenticate",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
]);

/** @param lower name in lower case */
export const mayTrail = (lower: string): boolean => !NOT_AS_TRAILER.has(lower);

function kindOf(name: string): number {
  const kind = nameOf(name)?.kind ?? -1;
  if (kind === -1) refuse("name of a field");
  return kind;
}

function fieldLine(name: string, value: string): string {
  if (!canBeValue(value)) refuse(`value of ${name}`);
  return `${name}: ${value}\r\n`;
}

function refuse(part: string): never {
  throw new UnsendableError(`the ${part} cannot be sent: it holds a character that HTTP/1 forbids there`);
}

function statusLine(status: number, reason: string): string {
  const standard = STATUS_CODES[status] ?? "";
  if (reason === "" || reason === standard) return `HTTP/1.1 ${status} ${standard}\r\n`;
  return `HTTP/1.1 ${status} ${canBeValue(reason) ? reason : standard}\r\n`;
}

let second = -1;
let line = "";

/** The same text for all answers of one second. */
function dateLine(nowMs: number): string {
  const now = Math.floor(nowMs / 1_000);
  if (now !== second) {
    second = now;
    line = `date: ${new Date(nowMs).toUTCString()}\r\n`;
  }
  return line;
}
