// Checks passwords against their hashes. Scrypt is meant to be dear, so it is bounded: few at once, few that wait, and
// what was found out holds for a while. Neither passwords nor what they could be guessed from are kept: the cache is
// by a digest whose key only this process has.
import { createHmac, hash as digestOf, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import type { PasswordHash } from "@evenkeel/core/config/resolve-access.ts";
import { createBoundedCache } from "./bounded-cache.ts";

/** At once: threads of the pool that files and names need, too. */
export const SCRYPT_AT_ONCE = 2;
/** Logins that wait for them; more are told to come back. */
export const LOGINS_WAITING_MAX = 16;
/** Requests that wait for the same login; a browser opens a handful of connections. */
export const REQUESTS_PER_LOGIN_MAX = 256;
const CACHE_MAX = 10_000;
const RIGHT_FOR_MS = 300_000;
/** A wrong one may be repeated by a broken client for ever. */
const WRONG_FOR_MS = 10_000;
const KEY_BYTES = 32;

export type PasswordVerdict = boolean | "busy";

export interface Passwords {
  /** Answers at once where it can; undefined: `done` is called later, once. */
  verify(
    user: string,
    password: string,
    hash: PasswordHash,
    done: (fits: PasswordVerdict) => void,
  ): PasswordVerdict | undefined;
}

export interface PasswordsOptions {
  /** ms, monotonic */
  clock: () => number;
  /** That of node:crypto. */
  derive?: typeof scrypt;
}

interface Login {
  key: string;
  password: string;
  hash: PasswordHash & { kind: "scrypt" };
  waiting: ((fits: PasswordVerdict) => void)[];
}

export function createPasswords({ clock, derive = scrypt }: PasswordsOptions): Passwords {
  const secret = randomBytes(KEY_BYTES);
  const known = createBoundedCache<boolean>(CACHE_MAX, clock);
  const logins = new Map<string, Login>();
  const queue: Login[] = [];
  let running = 0;

  const finish = (login: Login, fits: PasswordVerdict) => {
    running -= 1;
    logins.delete(login.key);
    if (fits !== "busy") known.set(login.key, fits, clock() + (fits ? RIGHT_FOR_MS : WRONG_FOR_MS));
    startNext();
    for (const done of login.waiting) done(fits);
  };
  const start = (login: Login) => {
    running += 1;
    const { ln, r, p, salt, hash } = login.hash;
    const expected = Buffer.from(hash, "base64");
    const cost = { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r };
    derive(login.password, Buffer.from(salt, "base64"), expected.length, cost, (error, derived) =>
      finish(login, error ? "busy" : timingSafeEqual(derived, expected)),
    );
  };
  const startNext = () => {
    const next = queue.shift();
    if (next) start(next);
  };

  return {
    verify(user, password, hash, done) {
      if (hash.kind === "sha256")
        return timingSafeEqual(digestOf("sha256", password, "buffer"), Buffer.from(hash.hex, "hex"));
      const { ln, r, p } = hash;
      const key = createHmac("sha256", secret)
        .update(JSON.stringify([user, password, ln, r, p, hash.salt, hash.hash]))
        .digest("base64");
      const before = known.get(key);
      if (before !== undefined) return before;
      const same = logins.get(key);
      if (same) {
        if (same.waiting.length >= REQUESTS_PER_LOGIN_MAX) return "busy";
        same.waiting.push(done);
        return undefined;
      }
      if (running >= SCRYPT_AT_ONCE && queue.length >= LOGINS_WAITING_MAX) return "busy";
      const login: Login = { key, password, hash, waiting: [done] };
      logins.set(key, login);
      if (running < SCRYPT_AT_ONCE) start(login);
      else queue.push(login);
      return undefined;
    },
  };
}
