// What of a request the scheduler needs to know, decided per pool when it is configured: most pools need nothing, and
// their requests pay nothing.
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import type { Arrival } from "../proxy/arrival.ts";
import type { Affinity } from "./affinity.ts";
import { keyOf, rankingOf } from "./hash-key.ts";
import type { ZoneOf } from "./zones.ts";

export type Ask = (arrival: Arrival) => Want;

/** Adds to the want what one feature of the pool needs. */
type Part = (want: Want, arrival: Arrival) => void;

/** Null for a pool that needs to know nothing. */
export function compileAsk(pool: Pool, zoneOf: ZoneOf, affinity: Affinity | null): Ask | null {
  const parts: Part[] = [];
  if (pool.policy === "hash") parts.push(hashPart(pool));
  if (Object.keys(pool.distances).length > 0) parts.push(zonePart(zoneOf));
  if (affinity) parts.push(stickPart(affinity));
  if (parts.length === 0) return null;
  return (arrival) => {
    const want: Want = {};
    for (const part of parts) part(want, arrival);
    return want;
  };
}

function hashPart({ hash, backends }: Pool): Part {
  const key = keyOf(hash);
  const rank = rankingOf(backends);
  return (want, arrival) => {
    want.ranked = rank(key?.(arrival) ?? arrival.client);
  };
}

const zonePart =
  (zoneOf: ZoneOf): Part =>
  (want, { head, client, trusted }) => {
    const zone = zoneOf(client, trusted ? head.fields : null);
    if (zone !== undefined) want.zone = zone;
  };

const stickPart =
  (affinity: Affinity): Part =>
  (want, { head }) => {
    const backend = affinity.backendOf(head.fields);
    if (backend !== undefined) want.stick = backend;
  };
