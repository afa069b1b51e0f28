// The key of a request under the policy `hash`, and the backends in the order of that key. The order comes from the
// configuration alone, so every gateway has the same one and keeps it while no scheduler answers.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { HashKey } from "@evenkeel/core/config/resolve-scheduling.ts";
import { fnv1a } from "@evenkeel/core/hash.ts";
import { createRanking, type Ranking } from "@evenkeel/core/hashing/rendezvous.ts";
import { MAX_RANKED } from "@evenkeel/core/ledger/ledger.ts";
import { fieldOf, listOf } from "../messages/fields.ts";
import type { Arrival } from "../proxy/arrival.ts";
import { cookieValue } from "./cookies.ts";
import { remember } from "./remember.ts";

/** Keys whose order is remembered, of one pool; each takes about 200 bytes. */
const KEYS_REMEMBERED = 1_000;
/** Places for each tier after the first: enough to stay with the key when the tier has to take over. */
const RANKED_OF_LATER_TIERS = 2;

/** A value as the request has it, not decoded; null when it has none, or an empty one. */
export type KeyOf = (arrival: Pick<Arrival, "head" | "target">) => string | null;

/** Null: the client's address is the key. */
export function keyOf({ key, name }: HashKey): KeyOf | null {
  switch (key) {
    case "address":
      return null;
    case "header":
      return ({ head }) => listOf(head.fields, name) || null;
    case "cookie":
      return ({ head }) => cookieValue(fieldOf(head.fields, "cookie"), name) || null;
    case "path":
      return ({ target }) => target.path;
    case "query":
      return ({ target: { path, forwarded } }) => queryValue(forwarded.slice(path.length + 1), name) || null;
  }
}

function queryValue(query: string, name: string): string | null {
  for (const pair of query.split("&")) {
    const sign = pair.indexOf("=");
    if (sign !== -1 && pair.slice(0, sign) === name) return pair.slice(sign + 1);
  }
  return null;
}

/** The first backends for a key. */
export function rankingOf(backends: Pool["backends"]): (key: string) => string[] {
  const rank = remember(KEYS_REMEMBERED, rankTiers(backends));
  return (key) => rank(fnv1a(key));
}

/** Tier after tier: backups come after those whose place they take, and never crowd them out. */
function rankTiers(backends: Pool["backends"]): Ranking {
  const tiers = [...Map.groupBy(backends, ({ priority }) => priority)].sort(([a], [b]) => a - b);
  const later = Math.min(tiers.length - 1, MAX_RANKED / RANKED_OF_LATER_TIERS - 1);
  const [first, ...others] = tiers
    .slice(0, later + 1)
    .map(([, members], i) =>
      createRanking(members, i === 0 ? MAX_RANKED - later * RANKED_OF_LATER_TIERS : RANKED_OF_LATER_TIERS),
    );
  if (!first) return () => [];
  return others.length === 0
    ? first
    : (keyHash) => [...first(keyHash), ...others.flatMap((ranking) => ranking(keyHash))];
}
