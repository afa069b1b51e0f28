// The header section of an answer in the form that node:http2 sends.
import type { OutgoingHttpHeaders } from "node:http2";
import { type Fields, fieldOf, STEP } from "../messages/fields.ts";
import { hasNoBody, type RequestHead, type ResponseHead } from "../messages/message.ts";
import { CONNECTION_SPECIFIC } from "./http2-head.ts";

/** Statuses that HTTP/2 in Node can send; others mean to a client what 502 means (RFC 9110, 15). */
const LAST_STATUS = 599;

/** Has no body (RFC 9110, 15.3.6), and node:http2 sends none: one that a backend sends all the same is dropped. */
const RESET_CONTENT = 205;

/** Names and values in turn, `:status` first. */
export function responseHeaders(head: ResponseHead, request: RequestHead): string[] {
  const { status, fields, bodyLength, tunnel } = head;
  const headers = [":status", tunnel ? "200" : String(status > LAST_STATUS ? 502 : status)];
  const bodiless = tunnel || status === RESET_CONTENT || hasNoBody(request.method, status);
  const own = bodiless || bodyLength === Number.POSITIVE_INFINITY;
  for (let i = 0; i < fields.length; i += STEP) {
    const name = fields[i + 1] as string;
    if (name === "content-length" && (!own || status === 204)) continue;
    if (CONNECTION_SPECIFIC.has(name)) continue; // such as the protocol of a tunnel
    if (tunnel && name === "sec-websocket-accept") continue; // the client has sent no key (RFC 8441, 5)
    headers.push(name, fields[i + 2] as string);
  }
  if (!own) headers.push("content-length", String(bodyLength));
  return headers;
}

/** Several fields of one name become one entry with a list. */
export function headerObject(fields: Fields): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = Object.create(null); // any name may come
  for (let i = 0; i < fields.length; i += STEP) {
    const name = fields[i + 1] as string;
    const value = fields[i + 2] as string;
    const there = headers[name];
    if (there === undefined) headers[name] = value;
    else if (Array.isArray(there)) there.push(value);
    else headers[name] = [there as string, value];
  }
  return headers;
}

/**
 * Whether an answer may end with trailers. To find out costs a frame, so it is not asked where a length is declared
 * that no trailer is announced for.
 */
export function mayHaveTrailers({ fields, bodyLength, tunnel }: ResponseHead): boolean {
  if (tunnel || bodyLength === 0) return false;
  if (bodyLength === Number.POSITIVE_INFINITY) return true;
  return (
    fieldOf(fields, "trailer") !== undefined ||
    (fieldOf(fields, "content-type")?.startsWith("application/grpc") ?? false)
  );
}
