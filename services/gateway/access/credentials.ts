// Where credentials stand in a request, and how refusals ask for them. Texts never repeat what was sent.
import { type Fields, STEP } from "../messages/fields.ts";
import type { Refusal } from "./access.ts";

/** Longest credential that is looked at, bytes. */
export const CREDENTIAL_BYTES_MAX = 8 * 1024;

/** The one value of that name; null: none; "" for what is no credential: empty, too long, or several. */
export function credentialOf(fields: Fields, lower: string): string | null {
  let value: string | null = null;
  for (let i = 1; i < fields.length; i += STEP) {
    if (fields[i] !== lower) continue;
    if (value !== null) return "";
    value = fields[i + 1] as string;
  }
  return value !== null && value.length > CREDENTIAL_BYTES_MAX ? "" : value;
}

/** What follows the scheme; null for another scheme. @param scheme in lower case */
export function afterScheme(value: string, scheme: string): string | null {
  const end = scheme.length;
  if (value.charCodeAt(end) !== 0x20 || value.slice(0, end).toLowerCase() !== scheme) return null;
  return value.slice(end + 1).trim();
}

export const unauthorized = (text: string, challenge: string): Refusal => ({
  status: 401,
  text,
  body: null,
  fields: ["WWW-Authenticate", "www-authenticate", challenge],
});

export const forbidden = (text: string): Refusal => ({ status: 403, text, body: null, fields: [] });

/** @param seconds after which it may be better */
export const unavailable = (text: string, seconds = 1): Refusal => ({
  status: 503,
  text,
  body: null,
  fields: ["Retry-After", "retry-after", String(seconds)],
});
