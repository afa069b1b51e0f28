// Asks a service whether a request may pass: 2xx says yes; any other answer below 500 is the client's. A service that
// fails does not let anybody pass, unless that is what the configuration says.
import type { ForwardAuthAccess } from "@evenkeel/core/config/resolve-access.ts";
import { type Fields, fieldOf, listOf, STEP } from "../messages/fields.ts";
import type { AccessRequest, Refusal } from "./access.ts";
import { unavailable } from "./credentials.ts";
import type { Outage } from "./outage.ts";
import type { SubrequestAnswer, Subrequests } from "./subrequest.ts";
import { LATER, type Row, sendable, type Turn } from "./turn.ts";

const BODY_BYTES_MAX = 64 * 1024;
/** What of a refusal is for the client. */
const PASSED_ON = [
  ...["WWW-Authenticate", "Location", "Set-Cookie", "Content-Type", "Cache-Control", "Retry-After"],
] as const;

export interface ForwardAuthOptions {
  subrequests: Subrequests;
  outage: Outage;
  onUnavailable(): void;
  onFailedOpen(): void;
}

const UNAVAILABLE = unavailable("Whether this request may pass cannot be found out now; try again");

export function compileForwardAuth(access: ForwardAuthAccess, options: ForwardAuthOptions): Row {
  const { url, timeoutMs, failOpen } = access;
  const { subrequests, outage, onUnavailable, onFailedOpen } = options;

  const failed = (turn: Turn, reason: string) => {
    outage.failed(reason);
    onUnavailable();
    if (failOpen) onFailedOpen();
    turn.resume(failOpen ? null : UNAVAILABLE);
  };
  const answered = (turn: Turn, answer: SubrequestAnswer) => {
    if (answer.status >= 500) return failed(turn, `the service answers ${answer.status}`);
    outage.well();
    if (answer.status >= 300) return turn.resume(refusalOf(answer));
    for (const name of access.responseHeaders) {
      const value = sendable(valuesOf(answer, name).join(", "));
      if (value !== null && value !== "") turn.setField(name, value);
    }
    turn.resume(null);
  };

  return {
    name: "forward-auth",
    check(turn) {
      const headers = headersFor(turn.request, access.requestHeaders);
      void subrequests.get({ url, headers, timeoutMs, bodyBytesMax: BODY_BYTES_MAX }).then(
        (answer) => answered(turn, answer),
        (error: Error) => failed(turn, error.message),
      );
      return LATER;
    },
  };
}

function headersFor(
  { head, connection, target, trusted, client }: AccessRequest,
  names: readonly string[],
): Record<string, string> {
  const own = connection.tls === null ? "http" : "https";
  const told = trusted ? fieldOf(head.fields, "x-forwarded-proto") : undefined;
  const headers: Record<string, string> = {
    "x-forwarded-method": head.method,
    "x-forwarded-proto": told === "http" || told === "https" ? told : own,
    "x-forwarded-host": target.authority,
    "x-forwarded-uri": target.forwarded,
    "x-forwarded-for": client,
  };
  for (const name of names) {
    const value = listOf(head.fields, name);
    if (value !== undefined) headers[name] = name === "cookie" ? cookiesOf(head.fields) : value;
  }
  return headers;
}

/** HTTP/2 may send each cookie by itself; they belong together with semicolons (RFC 9113, 8.2.3). */
function cookiesOf(fields: Fields): string {
  const cookies: string[] = [];
  for (let i = 1; i < fields.length; i += STEP)
    if (fields[i] === "cookie") cookies.push(fields[i + 1] as string);
  return cookies.join("; ");
}

function valuesOf({ headers }: SubrequestAnswer, lower: string): string[] {
  const value = headers[lower];
  return value === undefined ? [] : [value].flat();
}

function refusalOf(answer: SubrequestAnswer): Refusal {
  const fields: Fields = [];
  for (const name of PASSED_ON) {
    const lower = name.toLowerCase();
    for (const text of valuesOf(answer, lower)) {
      const value = sendable(text);
      if (value !== null) fields.push(name, lower, value);
    }
  }
  return { status: answer.status, text: "Refused by the authentication service", body: answer.body, fields };
}
