// Session affinity: a cookie names the backend of a client's session, signed, so that any gateway with the same secret
// honours it and nobody can choose a backend by writing one. No state is kept here or anywhere else.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Affinity as AffinitySettings } from "@evenkeel/core/config/resolve-scheduling.ts";
import { type Fields, fieldOf } from "../messages/fields.ts";
import { cookieValues } from "./cookies.ts";

/** 128 bits of it. */
const SIGNATURE_BYTES = 16;
/** Cookies of our name that are looked at: a browser may hold some that others set for a path or a parent domain. */
const COOKIES_TRIED_MAX = 4;

export interface Affinity {
  /** Its name. */
  readonly cookie: string;
  /** The backend of the session; undefined for none, or one that cannot be believed. */
  backendOf(fields: Fields): string | undefined;
  /** The Set-Cookie value that makes it the backend of the session; null while there is no secret. */
  bind(backend: string): string | null;
}

export interface AffinityOptions {
  /** Shared by all gateways; null while it is not known. */
  secret: () => Buffer | null;
  /** A cookie came that is not ours. */
  onForged: () => void;
}

export function createAffinity(
  pool: Pick<Pool, "name" | "backends">,
  { cookie, maxAgeS, secure }: AffinitySettings,
  { secret, onForged }: AffinityOptions,
): Affinity {
  const age = maxAgeS === null ? "" : `; Max-Age=${maxAgeS}`;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${age}${secure ? "; Secure" : ""}`;
  const members = new Set(pool.backends.map(({ id }) => id));
  const sign = createSigner(pool.name);

  return {
    cookie,
    backendOf(fields) {
      const key = secret();
      if (key === null) return undefined;
      for (const told of cookieValues(fieldOf(fields, "cookie"), cookie, COOKIES_TRIED_MAX)) {
        const value = unquoted(told);
        const backend = value.slice(0, Math.max(0, value.lastIndexOf(".")));
        if (members.has(backend) && equal(value, sign(key, backend))) return backend;
        if (members.has(backend) || backend === "") onForged(); // a backend may also have left the pool
      }
      return undefined;
    },
    bind(backend) {
      const key = secret();
      return key === null ? null : `${cookie}=${sign(key, backend)}; ${attributes}`;
    },
  };
}

/** Some clients put a value in the double quotes that RFC 6265 allows. */
const unquoted = (value: string): string => /^"(.*)"$/.exec(value)?.[1] ?? value;

/** Signs each backend of a pool once: what it is asked for must be bounded. */
function createSigner(pool: string): (key: Buffer, backend: string) => string {
  let signedWith: Buffer | null = null;
  let values = new Map<string, string>();
  return (key, backend) => {
    if (key !== signedWith) values = new Map();
    signedWith = key;
    let value = values.get(backend);
    if (value === undefined) {
      const signature = createHmac("sha256", key).update(`${pool}\n${backend}`).digest();
      value = `${backend}.${signature.toString("base64url", 0, SIGNATURE_BYTES)}`;
      values.set(backend, value);
    }
    return value;
  };
}

/** Takes as long for any text of the same length. */
function equal(told: string, value: string): boolean {
  const [a, b] = [Buffer.from(told), Buffer.from(value)];
  return a.length === b.length && timingSafeEqual(a, b);
}
