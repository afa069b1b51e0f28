// The header section sent to the backend: the client's own, in order, spelling and number, without what ends at
// this hop; then what this proxy says itself, which the client can neither preset nor take away.
import { withoutCookie } from "../asking/cookies.ts";
import { remember } from "../asking/remember.ts";
import { addField, type Fields, listOf, STEP } from "../messages/fields.ts";
import type { Arrival } from "./arrival.ts";
import { addForwarding, mayPass } from "./forwarding.ts";
import { HOP_BY_HOP, nominatedFields, WRITTEN_ANEW } from "./hop-by-hop.ts";

const WANTS_TRAILERS = /(?:^|,)[\t ]*trailers[\t ]*(?:,|$)/i;
/** Field names whose kind is remembered; a client may send any. */
const NAMES_REMEMBERED = 1_000;

/** What becomes of a field, by its name alone. */
type Kind = "pass" | "drop" | "cookie" | "from-trusted";

const kindOf = remember(NAMES_REMEMBERED, (name: string): Kind => {
  if (HOP_BY_HOP.has(name) || WRITTEN_ANEW.has(name)) return "drop";
  if (name === "cookie") return "cookie";
  if (mayPass(name, false)) return "pass";
  return mayPass(name, true) ? "from-trusted" : "drop";
});

/** What the data path knows beyond the request itself. */
export interface Additions {
  /** Name of a cookie that is for this proxy only; null: there is none. */
  ownCookie: string | null;
  /** Names in lower case that only this proxy may say, or that are for it alone. */
  removed: readonly string[];
  /** Said in their place. */
  set: Fields;
}

export const NO_ADDITIONS: Additions = { ownCookie: null, removed: [], set: [] };

export function requestFields(arrival: Arrival, additions: Additions): Fields {
  const { head, connection, target, trusted } = arrival;
  const incoming = head.fields;
  const nominated = nominatedFields(head.connection);
  const { ownCookie, removed, set } = additions;
  const fields: Fields = [];
  for (let i = 0; i < incoming.length; i += STEP) {
    const lower = incoming[i + 1] as string;
    const kind = kindOf(lower);
    if (kind === "drop" || (kind === "from-trusted" && !trusted) || nominated?.has(lower)) continue;
    if (removed.length > 0 && isRemoved(lower, removed)) continue;
    let value = incoming[i + 2] as string;
    if (kind === "cookie" && ownCookie !== null) {
      const others = withoutCookie(value, ownCookie);
      if (others === null) continue;
      value = others;
    }
    fields.push(incoming[i] as string, lower, value);
  }
  // Trailers of the response are passed on, so a client's wish for them may be too.
  const te = listOf(incoming, "te");
  if (te !== undefined && WANTS_TRAILERS.test(te)) addField(fields, "te", "trailers");
  addForwarding(fields, incoming, connection, target.authority, trusted);
  for (const part of set) fields.push(part);
  return fields;
}

/** CGI reads a name with underscores as the one with dashes. */
const isRemoved = (name: string, removed: readonly string[]): boolean =>
  removed.includes(name) || (name.includes("_") && removed.includes(name.replaceAll("_", "-")));

/** Fields that frame, route or authenticate a message mean nothing, or harm, after its body (RFC 9110, 6.5.1). */
const NOT_AS_TRAILER: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...WRITTEN_ANEW,
  "authorization",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "set-cookie",
]);

/**
 * The trailers to pass on, in either direction; null for none, as almost always.
 * @param removed names in lower case that the sender may not say
 */
export function passedTrailers(trailers: Fields | null, removed: readonly string[]): Fields | null {
  if (trailers === null) return null;
  const kept: Fields = [];
  for (let i = 0; i < trailers.length; i += STEP) {
    const lower = trailers[i + 1] as string;
    if (NOT_AS_TRAILER.has(lower) || !mayPass(lower, false) || isRemoved(lower, removed)) continue;
    kept.push(trailers[i] as string, lower, trailers[i + 2] as string);
  }
  return kept.length > 0 ? kept : null;
}
