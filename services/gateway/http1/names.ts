// Field names as they are met again and again: each spelling with its lower-case form, and what the field means to the
// framing of a message. Known once, a name costs one look-up.
import { canBeToken } from "./characters.ts";

export const ORDINARY = 0;
export const HOST = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CONNECTION = 4;
export const UPGRADE = 5;
export const EXPECT = 6;
export const KEEP_ALIVE = 7;
export const PROXY_CONNECTION = 8;
export const DATE = 9;
export const TE = 10;

export interface Name {
  /** A copy of its own: a piece of a message would keep all of that message in memory. */
  readonly written: string;
  readonly lower: string;
  readonly kind: number;
}

const KINDS: Readonly<Record<string, number>> = {
  host: HOST,
  "content-length": CONTENT_LENGTH,
  "transfer-encoding": TRANSFER_ENCODING,
  connection: CONNECTION,
  upgrade: UPGRADE,
  expect: EXPECT,
  "keep-alive": KEEP_ALIVE,
  "proxy-connection": PROXY_CONNECTION,
  date: DATE,
  te: TE,
};

/** Always known, so that nobody can crowd them out. */
const COMMON = `accept accept-encoding accept-language accept-ranges access-control-allow-origin
  access-control-request-headers access-control-request-method age alt-svc authorization cache-control content-disposition
  content-encoding content-language content-range content-security-policy content-type cookie dnt etag expires forwarded
  grpc-message grpc-status if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link
  location origin pragma priority range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform
  sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-accept sec-websocket-extensions
  sec-websocket-key sec-websocket-protocol sec-websocket-version server server-timing set-cookie
  strict-transport-security traceparent tracestate trailer upgrade-insecure-requests user-agent vary via
  www-authenticate x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto x-frame-options
  x-powered-by x-real-ip x-request-id x-xss-protection`.split(/\s+/);

/** Spellings; past it further ones are looked at anew each time. */
const MAX_KNOWN = 1_000;
/** Characters; a longer name is not kept. */
const MAX_KEPT_LENGTH = 64;

const known = new Map<string, Name>();
for (const lower of [...Object.keys(KINDS), ...COMMON]) {
  keep(lower);
  keep(lower.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase()));
}

/** @returns null where the text is not a field name */
export function nameOf(written: string): Name | null {
  const name = known.get(written);
  if (name !== undefined) return name;
  if (!canBeToken(written)) return null;
  if (known.size < MAX_KNOWN && written.length <= MAX_KEPT_LENGTH) {
    return keep(Buffer.from(written, "latin1").toString("latin1"));
  }
  return describe(written);
}

function keep(written: string): Name {
  const name = describe(written);
  known.set(written, name);
  return name;
}

function describe(written: string): Name {
  const lower = written.toLowerCase();
  return { written, lower, kind: Object.hasOwn(KINDS, lower) ? (KINDS[lower] as number) : ORDINARY };
}
