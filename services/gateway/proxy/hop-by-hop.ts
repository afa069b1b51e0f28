// Which header fields end at this hop (RFC 9110, 7.6.1): they describe one connection, and we are on two.

/** Lower case. Proxy-Authenticate and Proxy-Authorization speak of us, not of the backend. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Framing and destination are written anew for each hop, from what was understood of them. */
export const WRITTEN_ANEW: ReadonlySet<string> = new Set(["content-length", "host", "expect"]);

/** A Connection header may not take these away: they frame the message and name its destination. */
const END_TO_END: ReadonlySet<string> = new Set(["content-length", "host"]);

/** The further fields that a Connection header declares hop-by-hop; null for none, as almost always. */
export function nominatedFields(connection: string | null): ReadonlySet<string> | null {
  if (connection === null) return null;
  const value = connection.toLowerCase();
  if (value === "keep-alive" || value === "close" || value === "upgrade") return null;
  const names = value.split(",").map((name) => name.trim());
  return new Set(names.filter((name) => !END_TO_END.has(name)));
}
