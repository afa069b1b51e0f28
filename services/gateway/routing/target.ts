// What a request asks for: host and path, exactly as they will be forwarded. Whatever two parsers could read
// differently is refused here, before routing, and of several spellings of one path only the canonical one is left: what
// is matched is what the backend sees.
import { canonicalPath } from "@evenkeel/core/config/canonical-path.ts";
import type { RequestHead } from "../messages/message.ts";

export interface Target {
  /** Lower case, without port and closing dot: what routes match on. */
  host: string;
  /** Host or `:authority` as the client wrote it. */
  authority: string;
  /** Without query, in its canonical spelling. */
  path: string;
  /** That path, and the query as it came. */
  forwarded: string;
}

/** Why a request cannot be served, for the client. */
export interface TargetFault {
  status: 400 | 414;
  text: string;
}

/** Characters of path and query; past it 414. Half of what a header section may have. */
export const MAX_TARGET_LENGTH = 8 * 1024;

/** In front of the authority of a whole URL. */
const SCHEME_MAX_LENGTH = "https://".length;

/** A registered name or IPv4 address, or an IPv6 one in brackets; then a port. */
const AUTHORITY = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/i;
/** Controls, space and what is not ASCII, which no target may hold raw, and the fragment, which is never sent. */
const FORBIDDEN = /[^!-~]|#/;
/**
 * Backslash; encoded slash, backslash or control; dot segments, plain or encoded, also before what some parsers take for
 * the end of a segment: a parameter, a query, a fragment, a blank.
 */
const AMBIGUOUS_PATH = /\\|%(?:2f|5c|[01][0-9a-f]|7f)|\/(?:\.|%2e){1,2}(?:[/;?# ]|%(?:3b|3f|23|20)|$)/i;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
/** How often a path is decoded, in search of what is hidden under an encoded percent sign. */
const LEVELS_MAX = 3;

const fault = (text: string): TargetFault => ({ status: 400, text });

const NO_HOST = fault("the Host header is missing");
const BAD_HOST = fault("the Host header is not a valid host");
const NOT_A_PATH = fault("the request target is neither a path nor a URL of the Host header's host");
const OF_THE_SERVER = fault(
  "OPTIONS * asks about the server, not about something on it; it is not forwarded",
);
const BAD_CHARACTER = fault("the request target holds a character that must be percent-encoded");
const AMBIGUOUS = fault(
  "the path holds a dot segment, a backslash, or an encoded separator or control character",
);
const BAD_ESCAPE = fault("the path holds a percent sign that two hexadecimal digits do not follow");
const TOO_LONG: TargetFault = {
  status: 414,
  text: `the request target is longer than ${MAX_TARGET_LENGTH} characters`,
};

export function readTarget({ authority, target, method }: RequestHead): Target | TargetFault {
  if (authority === null) return NO_HOST;
  const name = AUTHORITY.exec(authority)?.[1];
  if (name === undefined) return BAD_HOST;
  if (target.length > MAX_TARGET_LENGTH + SCHEME_MAX_LENGTH + authority.length) return TOO_LONG;
  const forwarded = target.startsWith("/") ? target : originForm(target, authority);
  if (forwarded === null) return target === "*" && method === "OPTIONS" ? OF_THE_SERVER : NOT_A_PATH;
  if (forwarded.length > MAX_TARGET_LENGTH) return TOO_LONG;
  if (FORBIDDEN.test(forwarded)) return BAD_CHARACTER;
  const query = forwarded.indexOf("?");
  const path = query === -1 ? forwarded : forwarded.slice(0, query);
  if (BROKEN_ESCAPE.test(path)) return BAD_ESCAPE;
  if (isAmbiguous(path)) return AMBIGUOUS;
  const canonical = canonicalPath(path);
  return {
    host: canonicalHost(name),
    authority,
    path: canonical,
    forwarded: canonical === path ? forwarded : canonical + forwarded.slice(path.length),
  };
}

/** Whether nothing reads this path as another one than it is written. */
export const isCanonicalPath = (path: string): boolean =>
  path.startsWith("/") && !FORBIDDEN.test(path) && !BROKEN_ESCAPE.test(path) && !isAmbiguous(path);

/** A backend may decode what it gets, and what is behind it may do so again. */
function isAmbiguous(path: string): boolean {
  if (AMBIGUOUS_PATH.test(path)) return true;
  let text = path;
  for (let level = 1; level < LEVELS_MAX && text.includes("%25"); level += 1) {
    text = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
    if (AMBIGUOUS_PATH.test(text)) return true;
  }
  return false;
}

/** Of a whole URL; null for what is none, or of another host. */
function originForm(url: string, authority: string): string | null {
  const [, named, rest = ""] = ABSOLUTE_FORM.exec(url) ?? [];
  if (named?.toLowerCase() !== authority.toLowerCase()) return null;
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function canonicalHost(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
