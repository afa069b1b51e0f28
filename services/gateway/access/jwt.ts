// Signed tokens (RFC 7519): the signature by a key of the issuer's, the algorithm one of those that are configured,
// issuer, audience and times as they have to be. What was verified holds for a short while, since verifying costs
// more than all else a request costs.
import { hash } from "node:crypto";
import type { JwtAccess } from "@evenkeel/core/config/resolve-access.ts";
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from "jose";
import type { Fields } from "../messages/fields.ts";
import type { Refusal } from "./access.ts";
import type { BoundedCache } from "./bounded-cache.ts";
import { afterScheme, credentialOf, unauthorized, unavailable } from "./credentials.ts";
import type { KeySource } from "./key-source.ts";
import { fieldValue, LATER, type Row, type Turn } from "./turn.ts";

/** How long a token is believed without another look: so long one of a withdrawn key may pass. */
export const BELIEVED_MS = 30_000;
/** Tokens being verified at once by one route; more are told to come back. */
export const VERIFYING_MAX = 1_000;
/** Keys that fit a token which names none. */
const KEYS_TRIED_MAX = 8;

export interface VerifiedToken {
  subject: string | null;
  /** name, value, name, value … */
  headers: readonly string[];
}

export interface JwtOptions {
  keys: KeySource;
  /** Of all routes; keys begin with `id`. */
  cache: BoundedCache<VerifiedToken>;
  id: string;
  /** ms, monotonic: that of the cache */
  clock: () => number;
  /** ms since 1970 */
  now: () => number;
  onUnavailable(): void;
}

const NO_KEYS = unavailable("The keys that tokens are verified with are not at hand; try again");
const BUSY = unavailable("Too many tokens are being verified; try again");
const MISSING = unauthorized("A token is needed", "Bearer");
const INVALID = unauthorized("The token is not valid", 'Bearer error="invalid_token"');
const EXPIRED = unauthorized(
  "The token has expired",
  'Bearer error="invalid_token", error_description="expired"',
);

export function compileJwt(access: JwtAccess, options: JwtOptions): Row {
  const { cache, id, onUnavailable } = options;
  let verifying = 0;

  const finish = (turn: Turn, outcome: VerifiedToken | Refusal) => {
    verifying -= 1;
    if ("status" in outcome) {
      if (outcome === NO_KEYS) onUnavailable();
      turn.resume(outcome);
    } else {
      grant(turn, outcome);
      turn.resume(null);
    }
  };

  return {
    name: "jwt",
    check(turn) {
      const token = tokenOf(turn.request.head.fields, access.header);
      if (token === null) return MISSING;
      if (token === "") return INVALID;
      const key = `${id} ${hash("sha256", token, "base64")}`;
      const known = cache.get(key);
      if (known !== undefined) {
        grant(turn, known);
        return null;
      }
      if (verifying >= VERIFYING_MAX) {
        onUnavailable();
        return BUSY;
      }
      verifying += 1;
      void verify(token, key, access, options).then((outcome) => finish(turn, outcome));
      return LATER;
    },
  };
}

function grant(turn: Turn, { subject, headers }: VerifiedToken): void {
  if (subject !== null) turn.identify("subject", subject);
  for (let i = 0; i < headers.length; i += 2) turn.setField(headers[i] as string, headers[i + 1] as string);
}

/** Three parts of base64url, and nothing else. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Null: none; "": what is sent is none. */
function tokenOf(fields: Fields, header: string): string | null {
  const value = credentialOf(fields, header);
  if (value === null) return null;
  const token = afterScheme(value, "bearer") ?? (header === "authorization" ? "" : value);
  return COMPACT.test(token) ? token : "";
}

/** Never throws. */
async function verify(
  token: string,
  cacheKey: string,
  access: JwtAccess,
  { keys, cache, clock, now }: JwtOptions,
): Promise<VerifiedToken | Refusal> {
  try {
    const current = await keys.keys();
    if (current === null) return NO_KEYS;
    const wanted: JWTVerifyOptions = {
      algorithms: access.algorithms,
      issuer: access.issuer,
      ...(access.audiences === null ? {} : { audience: access.audiences }),
      clockTolerance: access.clockToleranceMs / 1_000,
      currentDate: new Date(now()),
      requiredClaims: ["exp"],
    };
    const payload = await verifyWith(token, current, wanted).catch(async (error) => {
      const newer = isOfKey(error) ? await keys.newer() : null;
      if (newer === null) throw error;
      return verifyWith(token, newer, wanted);
    });
    const verified: VerifiedToken = {
      subject: typeof payload.sub === "string" && payload.sub !== "" ? payload.sub : null,
      headers: headersOf(payload, access),
    };
    const leftMs = (payload.exp as number) * 1_000 + access.clockToleranceMs - now();
    cache.set(cacheKey, verified, clock() + Math.min(leftMs, BELIEVED_MS));
    return verified;
  } catch (error) {
    return error instanceof errors.JWTExpired ? EXPIRED : INVALID;
  }
}

/** The issuer may have newer keys than we have. */
const isOfKey = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWSSignatureVerificationFailed;

async function verifyWith(
  token: string,
  keys: JWTVerifyGetKey,
  wanted: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, wanted)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const key of error) {
      tried += 1;
      if (tried > KEYS_TRIED_MAX) break;
      try {
        return (await jwtVerify(token, key, wanted)).payload;
      } catch (fault) {
        if (!(fault instanceof errors.JWSSignatureVerificationFailed)) throw fault;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function headersOf(payload: JWTPayload, { claimsToHeaders }: JwtAccess): string[] {
  const headers: string[] = [];
  for (const { claim, header } of claimsToHeaders) {
    const text = Object.hasOwn(payload, claim) ? textOf(payload[claim]) : null;
    const value = text === null ? null : fieldValue(text);
    if (value !== null) headers.push(header, value);
  }
  return headers;
}

/** Lists of plain values with commas between; null for what has no such form, which is as if it were absent. */
function textOf(claim: unknown): string | null {
  if (typeof claim === "string") return claim;
  if (typeof claim === "number" || typeof claim === "boolean") return String(claim);
  if (!Array.isArray(claim)) return null;
  const parts = claim.map((one) => (Array.isArray(one) ? null : textOf(one)));
  return parts.every((part) => part !== null && !part.includes(",")) ? parts.join(",") : null;
}
