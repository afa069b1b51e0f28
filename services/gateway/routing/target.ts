// What a request asks for: host and path, exactly as they will be forwarded. Whatever two parsers could read
// differently is refused here, before routing: what is matched is what the backend sees.
import type { IncomingMessage } from "node:http";

export interface Target {
  /** Lower case, without port and closing dot: what routes match on. */
  host: string;
  /** The Host header as the client wrote it. */
  authority: string;
  /** Without query. */
  path: string;
  /** Path and query, sent to the backend as it is. */
  forwarded: string;
}

/** A registered name or IPv4 address, or an IPv6 one in brackets; then a port. */
const AUTHORITY = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const ABSOLUTE_FORM = /^http:\/\/([^/?#]*)(.*)$/i;
/** Controls and space, which no target may hold raw, and the fragment, which is never sent. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\x00-\x20\x7f#]/;
/** Backslash; encoded slash, backslash or NUL; dot segments, plain or encoded, also before a path parameter. */
const AMBIGUOUS_PATH = /\\|%(?:2f|5c|00)|\/(?:\.|%2e){1,2}(?:\/|;|%3b|$)/i;

/** The target, or the reason why the request is malformed. */
export function readTarget(request: IncomingMessage): Target | string {
  const authority = request.headers.host;
  if (authority === undefined) return "the Host header is missing";
  if (hasSeveralHosts(request.rawHeaders)) return "there is more than one Host header";
  const name = AUTHORITY.exec(authority)?.[1];
  if (name === undefined) return "the Host header is not a valid host";
  const forwarded = originForm(request.url ?? "", authority);
  if (forwarded === null) return "the request target is neither a path nor a URL of the Host header's host";
  if (FORBIDDEN.test(forwarded)) return "the request target holds a character that must be percent-encoded";
  const query = forwarded.indexOf("?");
  const path = query === -1 ? forwarded : forwarded.slice(0, query);
  if (AMBIGUOUS_PATH.test(path)) return "the path holds a dot segment, a backslash or an encoded separator";
  return { host: canonicalHost(name), authority, path, forwarded };
}

function originForm(url: string, authority: string): string | null {
  if (url.startsWith("/")) return url;
  const [, named, rest = ""] = ABSOLUTE_FORM.exec(url) ?? [];
  if (named?.toLowerCase() !== authority.toLowerCase()) return null;
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function canonicalHost(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** Node keeps the first of several and says nothing of the others. */
function hasSeveralHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts += 1;
  }
  return hosts > 1;
}
