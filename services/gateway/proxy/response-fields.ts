// The header section sent to the client: the backend's own, in order, spelling and number, without what ends here.
import { LOAD_REPORT_HEADER } from "@evenkeel/core/reports/load-report.ts";
import { setsCookie } from "../asking/cookies.ts";
import { addField, type Fields, listOf, STEP } from "../messages/fields.ts";
import { HOP_BY_HOP, nominatedFields } from "./hop-by-hop.ts";

/** Names the backend that answered, when the configuration asks for it. */
export const BACKEND_HEADER = "x-evenkeel-backend";

export interface Hidden {
  /** Named to the client in place of what the backend says under that name; null: the client is not told. */
  backend: string | null;
  /** What the backend says of its load is for this proxy only. */
  reporting: boolean;
  /** Name of a cookie that only this proxy sets; null: there is none. */
  ownCookie: string | null;
  /** There is no body, so its length is told by a field, if at all (RFC 9110, 8.6). */
  bodiless: boolean;
}

export function responseFields(
  incoming: Fields,
  { backend, reporting, ownCookie, bodiless }: Hidden,
): Fields {
  let nominated: ReadonlySet<string> | null = null;
  const fields: Fields = [];
  for (let i = 0; i < incoming.length; i += STEP) {
    const lower = incoming[i + 1] as string;
    if (lower === "connection") nominated = nominatedFields(listOf(incoming, "connection") ?? null);
    if (HOP_BY_HOP.has(lower) || (lower === "content-length" && !bodiless)) continue;
    if (lower === BACKEND_HEADER && backend !== null) continue;
    if (reporting && lower === LOAD_REPORT_HEADER) continue;
    const value = incoming[i + 2] as string;
    if (ownCookie !== null && lower === "set-cookie" && setsCookie(value, ownCookie)) continue;
    fields.push(incoming[i] as string, lower, value);
  }
  if (backend !== null) addField(fields, BACKEND_HEADER, backend);
  return nominated === null ? fields : without(fields, nominated);
}

/** A Connection field may come after those that it names. */
export function without(fields: Fields, names: ReadonlySet<string>): Fields {
  const kept: Fields = [];
  for (let i = 0; i < fields.length; i += STEP) {
    if (names.has(fields[i + 1] as string)) continue;
    kept.push(fields[i] as string, fields[i + 1] as string, fields[i + 2] as string);
  }
  return kept;
}

export const HIDING_NOTHING: Hidden = {
  backend: null,
  reporting: false,
  ownCookie: null,
  bodiless: false,
};
