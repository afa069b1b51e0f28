// The header section sent to the client: the backend's own, in order, spelling and number, without what ends here.
import { type IncomingHttpHeaders, STATUS_CODES } from "node:http";
import { LOAD_REPORT_HEADER } from "@evenkeel/core/reports/load-report.ts";
import { setsCookie } from "../asking/cookies.ts";
import { HOP_BY_HOP, nominatedFields } from "./hop-by-hop.ts";

/** Names the backend that answered, when the configuration asks for it. */
export const BACKEND_HEADER = "x-evenkeel-backend";

/**
 * @param raw names and values as they arrived
 * @param backend named to the client; null: the client is not told
 * @param reporting what the backend says of its load is for this proxy only
 * @param ownCookie name of a cookie that only this proxy sets; null: there is none
 * @returns a flat list of names and values
 */
export function responseHeaders(
  raw: readonly Buffer[],
  connection: string | string[] | undefined,
  backend: string | null,
  reporting: boolean,
  ownCookie: string | null,
): string[] {
  const nominated = nominatedFields(connection);
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString("latin1");
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || nominated?.has(lower)) continue;
    if (lower === BACKEND_HEADER && backend !== null) continue;
    if (reporting && lower === LOAD_REPORT_HEADER) continue;
    const value = (raw[i + 1] as Buffer).toString("latin1");
    if (ownCookie !== null && lower === "set-cookie" && setsCookie(value, ownCookie)) continue;
    headers.push(name, value);
  }
  if (backend !== null) headers.push(BACKEND_HEADER, backend);
  return headers;
}

const PLAIN_TEXT = /^[\t\x20-\x7e]*$/;

/** Node refuses other bytes, which HTTP allows; the phrase has no meaning, so the standard one does. */
export const reasonPhrase = (status: number, message: string): string =>
  PLAIN_TEXT.test(message) ? message : (STATUS_CODES[status] ?? "");

/** Fields that frame, route or authenticate a message mean nothing, or harm, after its body (RFC 9110, 6.5.1). */
const NOT_AS_TRAILER: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "authorization",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "host",
  "set-cookie",
]);

/** The trailers to pass on; null for none, as almost always. */
export function responseTrailers(trailers: IncomingHttpHeaders): [string, string][] | null {
  const kept: [string, string][] = [];
  for (const [name, value] of Object.entries(trailers)) {
    if (value === undefined || NOT_AS_TRAILER.has(name)) continue;
    for (const one of Array.isArray(value) ? value : [value]) kept.push([name, one]);
  }
  return kept.length > 0 ? kept : null;
}
