// Which route takes a connection or a datagram: of those of its listener the one with the highest priority, then the
// most specific server name (exact, longest wildcard, any), then one that asks for certain clients, then the first.
import type { Route } from "@evenkeel/core/config/resolve.ts";
import { createNetworks } from "@evenkeel/core/network/networks.ts";

/** What is read of a route. */
export interface StreamRoute {
  name: string;
  priority: number;
  match: Pick<Route["match"], "listener" | "sni" | "clients">;
}

/**
 * @param sni lower case; null: none was sent
 * @param client address without prefix or zone
 */
export type StreamRouter<R> = (sni: string | null, client: string) => R | null;

interface Candidate<R> {
  route: R;
  /** Null: any client. */
  takes: ((client: string) => boolean) | null;
  /** The lowest wins, place after place. */
  rank: readonly [priority: number, sni: number, clients: number];
}

const ANY = 1;
const WILDCARD = 0;
const EXACT = -1_000;

export function compileStreamRoutes<R extends StreamRoute>(
  routes: readonly R[],
  listener: string,
): StreamRouter<R> {
  const exact = new Map<string, Candidate<R>[]>();
  const wildcards: { suffix: string; candidate: Candidate<R> }[] = [];
  const others: Candidate<R>[] = [];
  for (const route of routes) {
    if (route.match.listener !== listener) continue;
    const { sni } = route.match;
    const candidate = candidateOf(route);
    if (sni === null) others.push(candidate);
    else if (sni.startsWith("*.")) wildcards.push({ suffix: sni.slice(1), candidate });
    else exact.set(sni, [...(exact.get(sni) ?? []), candidate]);
  }
  const ofWildcards = (sni: string) =>
    wildcards.filter(({ suffix }) => sni.length > suffix.length && sni.endsWith(suffix));
  for (const [sni, own] of exact) {
    own.push(...ofWildcards(sni).map(({ candidate }) => candidate), ...others);
    own.sort(byRank);
  }
  others.sort(byRank);
  return (sni, client) => {
    if (sni === null) return first(others, client);
    const known = exact.get(sni);
    if (known) return first(known, client);
    if (wildcards.length === 0) return first(others, client);
    const found = ofWildcards(sni);
    if (found.length === 0) return first(others, client);
    return first([...found.map(({ candidate }) => candidate), ...others].sort(byRank), client);
  };
}

function candidateOf<R extends StreamRoute>(route: R): Candidate<R> {
  const { sni, clients } = route.match;
  const networks = createNetworks(clients.map((cidr) => ({ cidr, value: true })));
  const takes = clients.length === 0 ? null : (client: string) => networks.find(client) === true;
  const name = sni === null ? ANY : sni.startsWith("*.") ? WILDCARD - sni.length : EXACT;
  return { route, takes, rank: [-route.priority, name, clients.length === 0 ? 1 : 0] };
}

function byRank<R>({ rank: a }: Candidate<R>, { rank: b }: Candidate<R>): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

function first<R>(candidates: readonly Candidate<R>[], client: string): R | null {
  for (const { route, takes } of candidates) if (takes === null || takes(client)) return route;
  return null;
}
