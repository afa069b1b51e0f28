// What of a request the scheduler needs to know, decided per pool when it is configured: most pools need nothing, and
// their requests pay nothing.
import type { IncomingMessage } from "node:http";
import type { Pool } from "@evenkeel/core/config/resolve.ts";
import type { Want } from "@evenkeel/core/ledger/ledger.ts";
import { clientAddress } from "../proxy/client-address.ts";
import { peerAddress, type Trust } from "../proxy/forwarding.ts";
import type { Target } from "../routing/target.ts";
import type { Affinity } from "./affinity.ts";
import { keyOf, rankingOf } from "./hash-key.ts";
import type { ZoneOf } from "./zones.ts";

export type Ask = (request: IncomingMessage, target: Target) => Want;

/** Adds to the want what one feature of the pool needs. */
type Part = (want: Want, request: IncomingMessage, target: Target) => void;

/** What is known of requests beside themselves. */
export interface Whence {
  trust: Trust;
  zoneOf: ZoneOf;
}

/** Null for a pool that needs to know nothing. */
export function compileAsk(pool: Pool, whence: Whence, affinity: Affinity | null): Ask | null {
  const parts: Part[] = [];
  if (pool.policy === "hash") parts.push(hashPart(pool, whence));
  if (Object.keys(pool.distances).length > 0) parts.push(zonePart(whence));
  if (affinity) parts.push(stickPart(affinity));
  if (parts.length === 0) return null;
  return (request, target) => {
    const want: Want = {};
    for (const part of parts) part(want, request, target);
    return want;
  };
}

function hashPart({ hash, backends }: Pool, { trust }: Whence): Part {
  const key = keyOf(hash);
  const rank = rankingOf(backends);
  return (want, request, target) => {
    want.ranked = rank(key?.(request, target) ?? clientAddress(request, trust));
  };
}

const zonePart =
  ({ trust, zoneOf }: Whence): Part =>
  (want, request) => {
    const headers = trust(peerAddress(request)) ? request.headers : null;
    const zone = zoneOf(clientAddress(request, trust), headers);
    if (zone !== undefined) want.zone = zone;
  };

const stickPart =
  (affinity: Affinity): Part =>
  (want, { headers }) => {
    const backend = affinity.backendOf(headers);
    if (backend !== undefined) want.stick = backend;
  };
