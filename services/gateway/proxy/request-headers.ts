// The header section sent to the backend: the client's own, in order, spelling and number, without what ends at
// this hop; then what this proxy says itself, which the client can neither preset nor take away.
import type { IncomingMessage } from "node:http";
import { withoutCookie } from "../asking/cookies.ts";
import type { Target } from "../routing/target.ts";
import { addForwarding, mayPass, peerAddress, type Trust } from "./forwarding.ts";
import { HOP_BY_HOP, nominatedFields } from "./hop-by-hop.ts";

const WANTS_TRAILERS = /(?:^|,)\s*trailers\s*(?:,|$)/i;

/**
 * @param ownCookie name of a cookie that is for this proxy only; null: there is none
 * @returns a flat list of names and values
 */
export function requestHeaders(
  request: IncomingMessage,
  target: Target,
  trust: Trust,
  ownCookie: string | null,
): string[] {
  const incoming = request.headers;
  const peer = peerAddress(request);
  const trusted = trust(peer);
  const nominated = nominatedFields(incoming.connection);
  const raw = request.rawHeaders;
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || lower === "expect" || nominated?.has(lower)) continue;
    if (ownCookie !== null && lower === "cookie") {
      const others = withoutCookie(raw[i + 1] as string, ownCookie);
      if (others !== null) headers.push(name, others);
    } else if (mayPass(lower, trusted)) headers.push(name, raw[i + 1] as string);
  }
  // Trailers of the response are passed on, so a client's wish for them may be too.
  if (WANTS_TRAILERS.test(String(incoming.te))) headers.push("te", "trailers");
  const port = request.socket.localPort ?? 0;
  addForwarding(headers, incoming, { peer, authority: target.authority, proto: "http", port }, trusted);
  return headers;
}
