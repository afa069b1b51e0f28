// Where the keys come from that tokens are verified with: a JSON Web Key Set on the web, or a file. Loaded when first
// needed, again when they are old or do not fit, never in a loop; the last ones stay while newer ones cannot be had.
import { createPublicKey, type KeyObject } from "node:crypto";
import { open } from "node:fs/promises";
import type { JwtAccess } from "@evenkeel/core/config/resolve-access.ts";
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Outage } from "./outage.ts";
import type { Subrequests } from "./subrequest.ts";

const LOAD_TIMEOUT_MS = 2_000;
/** Of a key set or file. */
const BYTES_MAX = 256 * 1024;
const KEYS_MAX = 100;
/** The size of the hash: a shorter secret can be guessed (RFC 7518, 3.2). */
const SECRET_BYTES_MIN = 32;
/** They are loaded again in the background at this age. */
export const OLD_AFTER_MS = { jwks: 600_000, keyFile: 60_000, secretFile: 60_000 } as const;
/** Between two loads because a token's key is not known: anybody can send such tokens. */
export const COOLDOWN_MS = { jwks: 30_000, keyFile: 5_000, secretFile: 5_000 } as const;
/** After a failed load. */
export const RETRY_AFTER_MS = 1_000;

export interface KeySource {
  /** Loads them where none were ever loaded; null: there are none. */
  keys(): Promise<JWTVerifyGetKey | null>;
  /** Newer ones, because those did not fit; null: there are none, or it is too early to ask again. */
  newer(): Promise<JWTVerifyGetKey | null>;
}

export interface KeySourceOptions {
  subrequests: Subrequests;
  /** ms, monotonic */
  clock: () => number;
  outage: Outage;
}

export function createKeySource(source: JwtAccess["source"], options: KeySourceOptions): KeySource {
  const { clock, outage } = options;
  let current: JWTVerifyGetKey | null = null;
  let loadedAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<boolean> | null = null;

  const load = async (): Promise<boolean> => {
    try {
      current = await loaderOf[source.kind](source.at, options.subrequests);
      loadedAt = clock();
      failedAt = Number.NEGATIVE_INFINITY;
      outage.well();
      return true;
    } catch (error) {
      failedAt = clock();
      outage.failed((error as Error).message);
      return false;
    } finally {
      loading = null;
    }
  };
  /** One load at a time, whoever waits for it. */
  const loadOnce = (): Promise<boolean> => {
    loading ??= load();
    return loading;
  };
  const hasJustFailed = () => clock() - failedAt < RETRY_AFTER_MS;

  return {
    async keys() {
      if (current === null) {
        if (loading !== null || !hasJustFailed()) await loadOnce();
      } else if (clock() - loadedAt >= OLD_AFTER_MS[source.kind] && !hasJustFailed()) {
        void loadOnce();
      }
      return current;
    },
    async newer() {
      if (loading === null && (clock() - loadedAt < COOLDOWN_MS[source.kind] || hasJustFailed())) return null;
      return (await loadOnce()) ? current : null;
    },
  };
}

type Loader = (at: string, subrequests: Subrequests) => Promise<JWTVerifyGetKey>;

const loaderOf: Record<JwtAccess["source"]["kind"], Loader> = {
  async jwks(url, subrequests) {
    const headers = { accept: "application/jwk-set+json, application/json" };
    const { status, body } = await subrequests.get({
      url,
      headers,
      timeoutMs: LOAD_TIMEOUT_MS,
      bodyBytesMax: BYTES_MAX,
    });
    if (status !== 200) throw new Error(`the key set's server answers ${status}`);
    return keySet(body.toString("utf8"));
  },
  async keyFile(path) {
    const text = (await readBounded(path)).toString("utf8").trim();
    if (text.startsWith("{")) return keySet(text);
    const key = publicKey(text);
    return () => key;
  },
  async secretFile(path) {
    const bytes = await readBounded(path);
    const secret = withoutLineEnd(bytes);
    if (secret.length < SECRET_BYTES_MIN)
      throw new Error(`the secret in ${path} must have at least ${SECRET_BYTES_MIN} bytes`);
    return () => secret;
  },
};

/** What a parser says of a faulty text may quote it, so it is not passed on. */
function keySet(text: string): JWTVerifyGetKey {
  let set: JSONWebKeySet;
  try {
    const parsed = JSON.parse(text);
    set = Array.isArray(parsed?.keys) ? parsed : { keys: [parsed] };
  } catch {
    throw new Error("the key set is no JSON");
  }
  if (set.keys.length > KEYS_MAX) throw new Error(`the key set has more than ${KEYS_MAX} keys`);
  if (set.keys.some((key) => key?.kty === undefined))
    throw new Error("the key set has an entry that is no key");
  return createLocalJWKSet(set);
}

function publicKey(text: string): KeyObject {
  if (text.includes("PRIVATE KEY"))
    throw new Error("the key file holds a private key; only the public one belongs there");
  try {
    return createPublicKey(text);
  } catch {
    throw new Error(
      "the key file holds neither a public key nor a certificate in PEM, nor a JSON Web Key Set",
    );
  }
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BYTES_MAX + 1), 0, BYTES_MAX + 1, 0);
    if (bytesRead > BYTES_MAX) throw new Error(`${path} is longer than ${BYTES_MAX} bytes`);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Editors end files with one, which is no part of the secret. */
function withoutLineEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  if (end < bytes.length && bytes[end - 1] === 0x0d) end -= 1;
  return bytes.subarray(0, end);
}
