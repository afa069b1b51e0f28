// What the two sides of the proxy exchange, whatever the protocol: the header section of a request and of an answer.
import type { Fields } from "./fields.ts";

export interface RequestHead {
  /** Case matters (RFC 9110, 9.1). */
  method: string;
  /** As it was sent: a path with query, in HTTP/1 perhaps a whole URL, `*`, or the authority of a CONNECT. */
  target: string;
  version: "1.0" | "1.1" | "2";
  /** Host or `:authority`; null for none. Several Host fields are refused before they come here. */
  authority: string | null;
  /** All as they came, those that end at this hop and Host included, pseudo fields of HTTP/2 not. */
  fields: Fields;
  /** All values of Connection; null for none, as always in HTTP/2. */
  connection: string | null;
  /** Bytes; 0: no body; Infinity: only its end will tell. */
  bodyLength: number;
  /** Asked for with Connection: upgrade, or with an extended CONNECT (RFC 8441). Lower case; null: none. */
  upgrade: string | null;
}

export interface ResponseHead {
  /** 200 to 999, or 101 when it opens a tunnel. */
  status: number;
  /** Empty where the protocol has none. */
  reason: string;
  /** From a backend: all as they came. To a client: what is passed on, without framing. */
  fields: Fields;
  /** Bytes the body will have; Infinity: only its end will tell. 0 for HEAD, 204 and 304, whatever they declare. */
  bodyLength: number;
  /** From here on both directions are bytes without meaning to us. */
  tunnel: boolean;
}

/** No body, whatever Content-Length says (RFC 9110, 6.4.1). */
export const hasNoBody = (method: string, status: number): boolean =>
  method === "HEAD" || status === 204 || status === 304;

/** To repeat such a request changes nothing more than to send it once (RFC 9110, 9.2.2). */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** These say with a length of zero that there is no body, where others say it by silence (RFC 9110, 8.6). */
export const expectsBody = (method: string): boolean => EXPECT_BODY.has(method);
const EXPECT_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);
