// Which of several pools serves a request: drawn by weight, or where the route says so the one that the client was
// given before, as its cookie says. The cookie is not signed: it can only name a pool that the client could be given.
import type { Split } from "@evenkeel/core/config/resolve-routing.ts";
import { cookieValues } from "../asking/cookies.ts";
import { type Fields, STEP } from "../messages/fields.ts";

/** Cookies of our name that are looked at: a browser may hold some for other paths or a parent domain. */
const COOKIES_TRIED_MAX = 4;

export interface Share {
  pool: string;
  /** Set-Cookie that keeps the client with the pool; null: it has that cookie, or none is set. */
  cookie: string | null;
}

/** Shares are made once and must not be changed. */
export type ChooseShare = (fields: Fields) => Share;

/** @param random from 0 to below 1 */
export function compileSplit({ pools, sticky }: Split, random: () => number): ChooseShare {
  const total = pools.reduce((sum, { weight }) => sum + weight, 0);
  const drawn = pools.filter(({ weight }) => weight > 0);
  const age = sticky?.maxAgeS == null ? "" : `; Max-Age=${sticky.maxAgeS}`;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${age}${sticky?.secure ? "; Secure" : ""}`;
  const shares = drawn.map(({ pool, weight }) => ({
    weight,
    share: { pool, cookie: sticky && `${sticky.cookie}=${pool}; ${attributes}` },
  }));
  const known = new Map<string, Share>(pools.map(({ pool }) => [pool, { pool, cookie: null }]));

  const draw = (): Share => {
    let rest = random() * total;
    for (const { weight, share } of shares) {
      rest -= weight;
      if (rest < 0) return share;
    }
    return (shares.at(-1) as (typeof shares)[number]).share; // sums of fractions may end a little short
  };
  if (sticky === null) return draw;
  return (fields) => {
    for (let i = 1; i < fields.length; i += STEP) {
      if (fields[i] !== "cookie") continue;
      for (const told of cookieValues(fields[i + 1], sticky.cookie, COOKIES_TRIED_MAX)) {
        const share = known.get(told);
        if (share !== undefined) return share;
      }
    }
    return draw();
  };
}
